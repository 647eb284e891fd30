"""The subject `firewall`: nftables, iptables (nft and legacy), and what ufw, firewalld, Docker and others put there."""
