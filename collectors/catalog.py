"""The collectors and watchers there are, and the worker that hosts each."""

from contracts.catalog import Entry

CATALOG: tuple[Entry, ...] = (
    Entry(name="bans", target="collectors.bans:BansCollector", worker="netfilter"),
    Entry(name="firewall", target="collectors.firewall.collector:FirewallCollector", worker="netfilter"),
    Entry(name="datapath", target="collectors.firewall.datapath:DatapathCollector", worker="netfilter"),
    Entry(name="ports", target="collectors.ports.collector:PortsCollector", worker="reader"),
    Entry(name="senders", target="collectors.senders:SendersCollector", worker="reader"),
    Entry(name="traffic", target="collectors.traffic.collector:TrafficCollector", worker="sensor"),
    Entry(name="antivirus", target="collectors.antivirus.collector:AntivirusCollector", worker="reader"),
    Entry(name="integrity", target="collectors.integrity.collector:IntegrityCollector", worker="reader"),
    Entry(name="suricata_eve", target="collectors.suricata_eve.collector:SuricataEveCollector", worker="reader"),
    Entry(name="holdings", target="collectors.holdings.collector:HoldingsCollector", worker="reader"),
)
WATCHERS: tuple[Entry, ...] = (
    Entry(name="bans", target="collectors.bans:BansWatcher", worker="netfilter"),
    Entry(name="firewall", target="collectors.firewall.watcher:FirewallWatcher", worker="netfilter"),
    Entry(name="datapath", target="collectors.firewall.datapath_watcher:DatapathWatcher", worker="netfilter"),
    Entry(name="traffic", target="collectors.traffic.watcher:TrafficWatcher", worker="sensor"),
    Entry(name="suricata_eve", target="collectors.suricata_eve.collector:SuricataEveWatcher", worker="reader"),
    Entry(name="ports", target="collectors.ports.watcher:PortsWatcher", worker="reader"),
    Entry(name="integrity", target="collectors.integrity.watcher:IntegrityWatcher", worker="reader"),
    Entry(name="antivirus", target="collectors.antivirus.watcher:AntivirusWatcher", worker="reader"),
)
