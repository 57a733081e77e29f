//! The command line's grammar.
#![allow(clippy::doc_markdown, reason = "these comments are the help texts")]

use crate::Color;
use clap::Args as ClapArgs;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use openwfp::NamedUrl;
use openwfp::api::AddressMatch;
use openwfp::api::Error;
use openwfp::api::Guid;
use openwfp::api::SaContextId;
use openwfp::api::Spi;
use openwfp::api::object::ObjectName;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

const MAIN_HELP: &str = "\
Examples:
  wfp sa list                                    the SA contexts of this machine's kernel
  wfp sa list --remote 203.0.113.0/24            those with peers in a network
  wfp --engine capture:samples/strongswan-16 sa list
  wfp serve                                      the kernel's SAs as a service
  wfp --engine https://gateway --cert me.pem --key me.key --ca ca.pem sa list
  wfp filter list                                filters of the daemon's engine
  wfp policy explain --from 10.1.0.5 --to 10.2.0.9 --proto tcp --dport 443
  wfp explain 0x8032001b                         what a result code means

Exit codes:
  0  done
  1  the engine refused or could not be reached; the code's name is on standard error
  2  the command line is wrong
  3  the listing was printed but is incomplete; the reason is on standard error";

const LIST_HELP: &str = "\
Examples:
  wfp sa list --limit 100                        the first hundred
  wfp sa list --limit 100 --after 100            the next hundred
  wfp sa list --local 10.0.0.1 --remote 2001:db8::/32
  wfp sa list --remote 192.0.2.10-192.0.2.99     a range of peers
  wfp sa list --spi 0xc71b7200 -o json
  wfp sa list -o jsonl | jq -r 'select(.state != \"complete\").remote'

Without a daemon, xfrm: numbers the contexts anew for each command, in the order of their creation. An
SPI names a context for as long as it lives, so --after and `sa show` take one too.";

const WATCH_HELP: &str = "\
Examples:
  wfp sa watch                                   a line for each change
  wfp sa watch --remote 203.0.113.0/24 -o jsonl | jq -r '.event + \" \" + .context.remote'

Changes: add, change, delete (with the last counters), expire, soft-expiry (a limit is near), acquire (traffic that a
policy protects has no SA yet).";

const EXPORT_HELP: &str = "\
Examples:
  wfp sa export --format wireshark >~/.config/wireshark/esp_sa
  tshark -r capture.pcap -o esp.enable_encryption_decode:TRUE

The output holds the SAs' keys, and takes the right to them (READ_KEYS).";

const OBJECT_HELP: &str = "\
Examples:
  wfp filter list
  wfp filter list --layer FWPM_LAYER_OUTBOUND_TRANSPORT_V4 --sorted
  wfp filter show 4294967298
  wfp layer show FWPM_LAYER_IPSEC_V4
  wfp context list -o json";

const EXPLAIN_HELP: &str = "\
Examples:
  wfp policy explain --from 10.1.0.5 --to 10.2.0.9 --proto tcp --dport 443
  wfp policy explain --from 10.2.0.9 --to 10.1.0.5 --in
  wfp policy explain --from 10.3.0.1 --to 10.2.0.9 --forward -o json";

const SERVE_HELP: &str = "\
Examples:
  wfp serve                                      the kernel's SAs at /run/openwfp/engine.sock
  wfp serve --engine memory: --unix /tmp/engine.sock
  wfp serve --config wfp.toml --check-config
  WFP_SERVE_LOG_LEVEL=debug wfp serve

Flags override the environment (WFP_SERVE_SECTION_KEY), and that the configuration. SIGHUP reads it again, SIGTERM
stops: calls that run finish. docs/daemon.md in the source has all keys.";

/// The filter engine for IPsec: lists, finds and explains the security associations of a machine.
#[derive(Debug, Parser)]
#[command(name = "wfp", version, about, after_help = MAIN_HELP, max_term_width = 110)]
pub(crate) struct Args {
    /// The engine: unix:PATH or https://HOST (a daemon; #NAME behind it names one of its engines), xfrm: (this machine's
    /// kernel; xfrm:netns=NAME, xfrm:pid=NUMBER in another network namespace), capture:DIR (a capture's directory) or
    /// memory: [default: this machine's daemon where there is one, else xfrm:]. `serve` takes several, each with a name
    /// before it if need be: blue=xfrm:netns=blue
    #[arg(long, value_name = "URL", env = "WFP_ENGINE", global = true)]
    pub(crate) engine: Vec<NamedUrl>,
    /// Change and remove also what others than this engine installed in the kernel (xfrm: engines)
    #[arg(long, global = true)]
    pub(crate) adopt: bool,
    #[command(flatten)]
    pub(crate) certificate: Certificate,
    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub(crate) color: Color,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What an https engine takes.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Certificate {
    /// The certificate to show to an https engine, PEM
    #[arg(long, value_name = "FILE", env = "WFP_CERT", global = true)]
    pub(crate) cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", env = "WFP_KEY", global = true)]
    pub(crate) key: Option<PathBuf>,
    /// The authorities that the engine's certificate may come from, PEM
    #[arg(long, value_name = "FILE", env = "WFP_CA", global = true)]
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the engine as a service for local and remote clients
    #[command(after_help = SERVE_HELP)]
    Serve(ServeArgs),
    /// Security-association contexts: pairs of inbound and outbound SAs
    #[command(subcommand)]
    Sa(SaCommand),
    /// Filters: what happens to which packets
    #[command(subcommand, after_help = OBJECT_HELP)]
    Filter(ObjectCommand),
    /// Providers: who manages objects
    #[command(subcommand)]
    Provider(ObjectCommand),
    /// Provider contexts: the policies of IKE and IPsec
    #[command(subcommand)]
    Context(ObjectCommand),
    /// Sublayers: parts of layers, in the order in which they are asked
    #[command(subcommand)]
    Sublayer(ObjectCommand),
    /// Layers: where filters are asked, with the fields that conditions look at
    #[command(subcommand)]
    Layer(ObjectCommand),
    /// Callouts: what filters ask
    #[command(subcommand)]
    Callout(ObjectCommand),
    /// What the filters decide
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// What a result code means: its name, number, NTSTATUS, meaning and likely cause
    Explain {
        /// A name such as FWP_E_NOT_FOUND, or a number in hexadecimal (0x80320008) or decimal
        #[arg(allow_hyphen_values = true)]
        code: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SaCommand {
    /// Lists SA contexts, page by page, in the order of their ids
    #[command(after_help = LIST_HELP)]
    List(ListArgs),
    /// Shows all of one SA context
    Show(ShowArgs),
    /// Prints changes as they happen, until it is stopped
    #[command(after_help = WATCH_HELP)]
    Watch(WatchArgs),
    /// Has SA contexts expire: outbound at once, inbound a minute later, for packets on the wire
    Expire(ChangeArgs),
    /// Deletes SA contexts with all their SAs
    Delete(ChangeArgs),
    /// Writes the SAs with their keys for another program
    #[command(after_help = EXPORT_HELP)]
    Export(ExportArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ObjectCommand {
    /// Lists them, page by page, in the order in which they were added
    List(ObjectListArgs),
    /// Shows all of one
    Show(ObjectShowArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ObjectListArgs {
    /// Only those of this provider: its key, or its name in Windows' headers
    #[arg(long, value_name = "KEY", value_parser = guid)]
    pub(crate) provider: Option<Guid>,
    /// Only filters and callouts of this layer, such as FWPM_LAYER_OUTBOUND_TRANSPORT_V4
    #[arg(long, value_name = "LAYER", value_parser = guid)]
    pub(crate) layer: Option<Guid>,
    /// Filters by weight, the heaviest first
    #[arg(long)]
    pub(crate) sorted: bool,
    /// How many to ask the engine for at a time
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) page_size: NonZeroU32,
    /// How many to print at most
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Go on behind this one: its key
    #[arg(long, value_name = "KEY", value_parser = guid)]
    pub(crate) after: Option<Guid>,
    /// The format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: Format,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ObjectShowArgs {
    /// Its id, its key, or its name in Windows' headers
    #[arg(value_name = "ID", value_parser = object_name)]
    pub(crate) name: ObjectName,
    /// The format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Which filters match a packet, what each sublayer says, and which policy applies
    #[command(after_help = EXPLAIN_HELP)]
    Explain(ExplainArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ExplainArgs {
    /// Where the packet comes from
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: IpAddr,
    /// Where it goes to
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to: IpAddr,
    /// The protocol: tcp, udp, icmp, icmpv6, esp, ah or a number
    #[arg(long, value_name = "PROTOCOL", default_value = "0", value_parser = protocol)]
    pub(crate) proto: u8,
    /// The source's port
    #[arg(long, value_name = "PORT", default_value = "0")]
    pub(crate) sport: u16,
    /// The destination's port
    #[arg(long, value_name = "PORT", default_value = "0")]
    pub(crate) dport: u16,
    /// The packet arrives at this machine; else it leaves from it
    #[arg(long = "in", conflicts_with = "forward")]
    pub(crate) inbound: bool,
    /// The packet goes through this machine
    #[arg(long)]
    pub(crate) forward: bool,
    /// The format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: Format,
}

fn guid(text: &str) -> Result<Guid, String> {
    match openwfp::api::guids::by_name(text) {
        Some(guid) => Ok(guid),
        None => text.parse().map_err(|error: Error| error.to_string()),
    }
}

fn object_name(text: &str) -> Result<ObjectName, String> {
    match text.parse() {
        Ok(id) => Ok(ObjectName::Id(id)),
        Err(_) => guid(text).map(ObjectName::Key),
    }
}

fn protocol(text: &str) -> Result<u8, String> {
    match text.to_ascii_lowercase().as_str() {
        "icmp" => Ok(1),
        "tcp" => Ok(6),
        "udp" => Ok(17),
        "esp" => Ok(50),
        "ah" => Ok(51),
        "icmpv6" => Ok(58),
        "sctp" => Ok(132),
        number => {
            number.parse().map_err(|_| format!("{text} is no IP protocol: write tcp, udp, icmp or a number"))
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ListArgs {
    /// Only contexts whose own address is in this network, range (A-B) or is this address
    #[arg(long, value_name = "NET", value_parser = address_match)]
    pub(crate) local: Option<AddressMatch>,
    /// Only contexts whose peer's address is in this network, range (A-B) or is this address
    #[arg(long, value_name = "NET", value_parser = address_match)]
    pub(crate) remote: Option<AddressMatch>,
    /// Only contexts with this SPI, inbound or outbound, such as 0xc71b7200
    #[arg(long, value_name = "SPI", value_parser = spi)]
    pub(crate) spi: Option<Spi>,
    /// How many contexts to ask the engine for at a time
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) page_size: NonZeroU32,
    /// How many contexts to print at most
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Go on behind this context: its id, or one of its SPIs with 0x
    #[arg(long, value_name = "ID", value_parser = reference)]
    pub(crate) after: Option<Reference>,
    /// The format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: Format,
    /// Print the keys as well, in every format
    #[arg(long)]
    pub(crate) show_keys: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct WatchArgs {
    /// Only contexts whose own address is in this network, range (A-B) or is this address
    #[arg(long, value_name = "NET", value_parser = address_match)]
    pub(crate) local: Option<AddressMatch>,
    /// Only contexts whose peer's address is in this network, range (A-B) or is this address
    #[arg(long, value_name = "NET", value_parser = address_match)]
    pub(crate) remote: Option<AddressMatch>,
    /// Stop after so many changes
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// The format: a table, or JSON, one object a line
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: Format,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ChangeArgs {
    /// The contexts: their ids, or one SPI of each with 0x
    #[arg(value_name = "ID", value_parser = reference, required = true)]
    pub(crate) ids: Vec<Reference>,
    /// Do not show and ask first
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ExportArgs {
    /// The contexts: their ids, or one SPI of each with 0x; none: all
    #[arg(value_name = "ID", value_parser = reference)]
    pub(crate) ids: Vec<Reference>,
    /// For which program
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: ExportFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Wireshark's and tshark's table of ESP SAs
    Wireshark,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ShowArgs {
    /// The context: its id, or one of its SPIs with 0x
    #[arg(value_name = "ID", value_parser = reference)]
    pub(crate) id: Reference,
    /// The format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: Format,
    /// Print the keys as well
    #[arg(long)]
    pub(crate) show_keys: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ServeArgs {
    /// The configuration, TOML [default: /etc/openwfp/wfp.toml, if it is there]
    #[arg(long, value_name = "FILE", env = "WFP_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Check the configuration and the files that it names, and do nothing else
    #[arg(long)]
    pub(crate) check_config: bool,
    /// Where to listen, a path; same as --set listen.unix=PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) unix: Option<String>,
    /// Where to listen for mutual TLS, ADDRESS:PORT; same as --set listen.tls=ADDRESS:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) tls: Option<String>,
    /// Where to listen without encryption, a loopback ADDRESS:PORT; same as --set listen.plaintext=ADDRESS:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) plaintext: Option<String>,
    /// Another value for a key of the configuration, such as limits.connections=100
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns, as many as the terminal has room for
    Table,
    /// All columns, whatever the width
    Wide,
    /// One JSON document
    Json,
    /// One JSON object a line and context
    Jsonl,
}

/// A context by its id or by one of its SPIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    Id(SaContextId),
    Spi(Spi),
}

fn reference(text: &str) -> Result<Reference, String> {
    if text.starts_with("0x") || text.starts_with("0X") {
        return spi(text).map(Reference::Spi);
    }
    match text.parse() {
        Ok(id) => Ok(Reference::Id(SaContextId(id))),
        Err(_) => Err("an id is a number, an SPI starts with 0x".into()),
    }
}

fn spi(text: &str) -> Result<Spi, String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let value = match digits {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    value.and_then(Spi::new).ok_or_else(|| "an SPI is 0x and up to 8 hexadecimal digits, not all 0".into())
}

fn address_match(text: &str) -> Result<AddressMatch, String> {
    if let Ok(address) = text.parse() {
        return Ok(AddressMatch::Address(address));
    }
    if let Some((low, high)) = text.split_once('-') {
        let end = |text: &str| text.trim().parse::<IpAddr>().map_err(|e| format!("{text:?}: {e}"));
        return AddressMatch::range(end(low)?, end(high)?).map_err(|e: Error| e.what().to_owned());
    }
    match text.parse::<openwfp::api::IpNet>() {
        Ok(network) => Ok(AddressMatch::Subnet(network.trunc())),
        Err(_) => Err("give a network (10.0.0.0/8), an address, or a range (10.0.0.1-10.0.0.9)".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn addresses_are_networks_single_ones_or_ranges() {
        let subnet = |text: &str| AddressMatch::Subnet(text.parse().unwrap());
        assert_eq!(address_match("10.1.2.3/8").unwrap(), subnet("10.0.0.0/8"));
        assert_eq!(address_match("2001:db8::/32").unwrap(), subnet("2001:db8::/32"));
        assert_eq!(address_match("10.0.0.1").unwrap(), AddressMatch::Address([10, 0, 0, 1].into()));
        assert!(matches!(address_match("10.0.0.1-10.0.0.9").unwrap(), AddressMatch::Range(_)));
        for bad in ["", "10.0.0.0/33", "10.0.0.9-10.0.0.1", "10.0.0.1-::1", "example.org", "10.0.0"] {
            assert!(address_match(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_context_is_named_by_number_or_by_spi() {
        assert_eq!(reference("16").unwrap(), Reference::Id(SaContextId(16)));
        assert_eq!(reference("0x10").unwrap(), Reference::Spi(Spi::new(16).unwrap()));
        for bad in ["", "0x", "0x0", "0x123456789", "-1", "c71b7200"] {
            assert!(reference(bad).is_err(), "{bad}");
        }
    }
}
