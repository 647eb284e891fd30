"""HTTP/1, read as leniently as servers and browsers do: what Suricata's parser makes of odd requests and responses, this one makes, too."""
