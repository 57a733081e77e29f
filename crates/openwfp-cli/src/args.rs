//! The command line's grammar.
#![allow(clippy::doc_markdown, reason = "these comments are the help texts")]

use crate::failure::without_code;
use clap::Args as ClapArgs;
use clap::CommandFactory;
use clap::FromArgMatches;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use openwfp::NamedUrl;
use openwfp::api::AddressMatch;
use openwfp::api::ContextTemplate;
use openwfp::api::Guid;
use openwfp::api::SaContextId;
use openwfp::api::Spi;
use openwfp::api::object::ObjectKind;
use openwfp::api::object::ObjectName;
use openwfp::api::object::kernel::KernelPolicyDirection;
use openwfp::api::object::template::ENUM_SORTED;
use openwfp::api::object::template::ObjectTemplate;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

const MAIN_HELP: &str = "\
Examples:
  wfp sa list                            List this machine's SAs
  wfp sa list --remote 203.0.113.0/24    List SAs with peers in a network
  wfp sa watch                           Print changes as they happen
  wfp --engine https://gw --cert me.pem --key me.key --ca ca.pem sa list
                                         List another machine's SAs
  wfp serve                              Serve this machine's SAs to clients
  wfp policy explain --from 10.1.0.5 --to 10.2.0.9 --proto tcp --dport 443
  wfp explain 0x8032001b                 Explain a result code

Engines:
  unix:PATH              A daemon on this machine (unix:PATH#NAME: one of
                         several engines that it serves)
  https://HOST[:PORT]    A daemon on another machine, over mutual TLS
  xfrm:                  This machine's kernel (xfrm:netns=NAME or
                         xfrm:pid=NUMBER: another network namespace)
  capture:DIR            A capture, see samples/README.md in the source
  memory:                An empty engine in this process

Exit codes:
  0  Done
  1  The engine refused the call or could not be reached, or you declined
  2  The command line is wrong
  3  The listing was printed, but it is incomplete";

const LIST_HELP: &str = "\
Examples:
  wfp sa list --limit 100              List the first hundred
  wfp sa list --limit 100 --after 100  List the next hundred
  wfp sa list --local 10.0.0.1 --remote 2001:db8::/32
  wfp sa list --remote 192.0.2.10-192.0.2.99
  wfp sa list --spi 0xc71b7200 -o json
  wfp sa list -o jsonl | jq -r 'select(.state != \"complete\").remote'

Without a daemon, each command numbers the kernel's contexts anew, in the order of their creation. An SPI identifies \
a context for as long as it lives, so --after and `wfp sa show` accept an SPI, too.";

const WATCH_HELP: &str = "\
Events:
  add          A context was created
  change       A context changed
  acquire      Traffic matches a policy but has no SA yet
  soft-expiry  A limit is near
  expire       A context was idle too long or expired on request
  delete       A context was removed or reached a hard limit (last counters)

Examples:
  wfp sa watch
  wfp sa watch --remote 203.0.113.0/24 -o jsonl | jq -r .context.remote";

const EXPORT_HELP: &str = "\
Examples:
  (umask 077; wfp sa export --format wireshark >~/.config/wireshark/esp_sa)
  tshark -r capture.pcap -o esp.enable_encryption_decode:TRUE

The output contains keys. It requires the right READ_KEYS, which root has by default.";

const FILTER_LIST_HELP: &str = "\
Examples:
  wfp filter list
  wfp filter list --layer FWPM_LAYER_OUTBOUND_TRANSPORT_V4 --sorted
  wfp filter list -o json";

const POLICY_LIST_HELP: &str = "\
Examples:
  wfp policy list
  wfp policy list --dir out -o wide
  wfp policy list -o jsonl | jq -r 'select(.sa_contexts == []).destination'

The kernel tries the policies of a direction in the order of the list: the first one that matches decides.";

const EXPLAIN_HELP: &str = "\
Examples:
  wfp policy explain --from 10.1.0.5 --to 10.2.0.9 --proto tcp --dport 443
  wfp policy explain --from 10.2.0.9 --to 10.1.0.5 --in
  wfp policy explain --from 10.3.0.1 --to 10.2.0.9 --forward -o json

Exit code 0 if the packet is protected, else 1.";

const SERVE_HELP: &str = "\
Examples:
  wfp serve                            Serve the kernel's SAs
  wfp serve --engine xfrm: --engine blue=xfrm:netns=b1
  wfp serve --engine memory: --unix /tmp/engine.sock
  wfp serve --config wfp.toml --check-config
  OPENWFP_SERVE_LOG_LEVEL=debug wfp serve

Precedence, lowest to highest: configuration file, environment variables (OPENWFP_SERVE_SECTION_KEY), flags. On SIGHUP \
the daemon rereads its configuration. On SIGTERM it finishes running calls and exits. docs/daemon.md in the source is \
the manual.";

const FLUSH_HELP: &str = "\
Examples:
  wfp flush
  wfp flush --yes --engine xfrm:netns=b1

SAs and policies stay in the kernel when a daemon stops, so that nothing leaves this machine unprotected until it runs again. \
`wfp flush` is for those who want otherwise. What other programs installed stays.";

/// The heading of the options that most commands share.
const GLOBAL: &str = "Global options";

/// List, watch, explain and change the IPsec security associations (SAs) of a machine
#[derive(Debug, Parser)]
#[command(name = "wfp", version, after_help = MAIN_HELP, max_term_width = 80)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) client: ClientArgs,
    // Only some commands take it, and each of them has it in its own help.
    #[arg(long, hide = true)]
    pub(crate) adopt: bool,
}

/// Reads the command line; ends the program where it is wrong, and for `--help`.
pub(crate) fn parse() -> Args {
    let matches = command().get_matches();
    Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// The grammar, with the name of each kind of object in the help of its commands.
fn command() -> clap::Command {
    let kinds = [
        ("filter", "filters", "filter"),
        ("context", "provider contexts", "provider context"),
        ("provider", "providers", "provider"),
        ("sublayer", "sublayers", "sublayer"),
        ("layer", "layers", "layer"),
        ("callout", "callouts", "callout"),
    ];
    kinds.into_iter().fold(Args::command(), |command, (word, all, one)| {
        command.mut_subcommand(word, |command| {
            command
                .mut_subcommand("list", |list| list.about(format!("List {all}")))
                .mut_subcommand("show", |show| show.about(format!("Show one {one} in full")))
        })
    })
}

/// The engine of a command, how to reach it, and colours. Each is accepted before and after the command's name.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct ClientArgs {
    /// Engine to use, see `wfp --help` [env: OPENWFP_ENGINE] [default: this machine's daemon if it runs, else xfrm:]
    #[arg(long, value_name = "URL")]
    pub(crate) engine: Vec<NamedUrl>,
    #[command(flatten)]
    pub(crate) certificate: CertificateArgs,
    #[command(flatten)]
    pub(crate) output: ColorArgs,
}

/// The client certificate for an https engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub(crate) struct CertificateArgs {
    /// Client certificate for an https engine, PEM [env: OPENWFP_CERT]
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// Private key of the certificate, PEM [env: OPENWFP_KEY]
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Certificate authorities to trust for an https engine, PEM [env: OPENWFP_CA]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

/// Colours.
#[derive(Clone, Copy, Debug, Default, ClapArgs)]
pub(crate) struct ColorArgs {
    /// When to use colours: auto (on a terminal, unless NO_COLOR is set), always or never [default: auto]
    #[arg(long, value_name = "WHEN", hide_possible_values = true)]
    pub(crate) color: Option<Color>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List, show, watch and change SA contexts (pairs of inbound and outbound SAs)
    #[command(subcommand)]
    Sa(SaCommand),
    /// List and show the kernel's IPsec policies, and explain what happens to a packet
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// List, show and delete filters
    #[command(subcommand)]
    Filter(ObjectCommand<FilterListArgs>),
    /// List, show and delete provider contexts (IKE and IPsec policies)
    #[command(subcommand)]
    Context(ObjectCommand<ProvidedListArgs>),
    /// List, show and delete providers (the owners of objects)
    #[command(subcommand)]
    Provider(ObjectCommand<ObjectListArgs>),
    /// List, show and delete sublayers
    #[command(subcommand)]
    Sublayer(ObjectCommand<ProvidedListArgs>),
    /// List and show layers, with the fields that conditions can test
    #[command(subcommand)]
    Layer(LayerCommand),
    /// List, show and delete callouts
    #[command(subcommand)]
    Callout(ObjectCommand<CalloutListArgs>),
    /// List the sessions of an engine's clients, and close one
    #[command(subcommand)]
    Session(SessionCommand),
    /// Run the daemon, which serves engines to local and remote clients
    #[command(after_help = SERVE_HELP)]
    Serve(ServeArgs),
    /// Delete the SAs and policies that a stopped engine has left in the kernel
    #[command(after_help = FLUSH_HELP)]
    Flush(FlushArgs),
    /// Explain a result code: its name, number, NTSTATUS, meaning and likely cause
    Explain(CodeArgs),
}

impl Args {
    /// When to use colours: after the command's name, else before it, else as the terminal is.
    pub(crate) fn color(&self) -> Color {
        let own = match &self.command {
            Command::Sa(command) => command.client().output,
            Command::Policy(command) => command.client().output,
            Command::Filter(command) => command.client().output,
            Command::Context(command) | Command::Sublayer(command) => command.client().output,
            Command::Provider(command) => command.client().output,
            Command::Layer(command) => command.client().output,
            Command::Callout(command) => command.client().output,
            Command::Session(command) => command.client().output,
            Command::Serve(serve) => serve.output,
            Command::Flush(flush) => flush.output,
            Command::Explain(explain) => explain.output,
        };
        own.color.or(self.client.output.color).unwrap_or_default()
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CodeArgs {
    /// Name such as FWP_E_NOT_FOUND, or number such as 0x80320008 or 2150760456
    #[arg(allow_hyphen_values = true)]
    pub(crate) code: String,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) output: ColorArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List the open sessions: who has them, from where, and which of them has a transaction open
    List(SessionListArgs),
    /// Close sessions: abort their transactions, and delete the objects of dynamic sessions
    Close(SessionCloseArgs),
}

impl SessionCommand {
    pub(crate) fn client(&self) -> &ClientArgs {
        match self {
            SessionCommand::List(list) => &list.client,
            SessionCommand::Close(close) => &close.client,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SessionListArgs {
    #[command(flatten)]
    pub(crate) output: FormatArgs,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SessionCloseArgs {
    /// Numbers of the sessions, from `wfp session list`
    #[arg(required = true, value_name = "SESSION")]
    pub(crate) numbers: Vec<u32>,
    /// Do not ask for confirmation
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SaCommand {
    /// List SA contexts, ordered by id
    #[command(after_help = LIST_HELP)]
    List(ListArgs),
    /// Show one SA context in full
    Show(ShowArgs),
    /// Print changes as they happen, until interrupted
    #[command(after_help = WATCH_HELP)]
    Watch(WatchArgs),
    /// Expire SA contexts (outbound immediately, inbound after 60 s)
    Expire(ChangeArgs),
    /// Delete SA contexts with all their SAs
    Delete(ChangeArgs),
    /// Write the SAs and their keys in another program's format
    #[command(after_help = EXPORT_HELP)]
    Export(ExportArgs),
}

impl SaCommand {
    pub(crate) fn client(&self) -> &ClientArgs {
        match self {
            SaCommand::List(list) => &list.client,
            SaCommand::Show(show) => &show.client,
            SaCommand::Watch(watch) => &watch.client,
            SaCommand::Expire(change) | SaCommand::Delete(change) => &change.client,
            SaCommand::Export(export) => &export.client,
        }
    }

    /// The arguments of a command that changes contexts.
    pub(crate) fn changes(&self) -> Option<&ChangeArgs> {
        match self {
            SaCommand::Expire(change) | SaCommand::Delete(change) => Some(change),
            _ => None,
        }
    }
}

impl<L: ListOfObjects> ObjectCommand<L> {
    fn client(&self) -> &ClientArgs {
        match self {
            ObjectCommand::List(list) => &list.paging().client,
            ObjectCommand::Show(show) => &show.client,
            ObjectCommand::Delete(delete) => &delete.client,
        }
    }
}

impl LayerCommand {
    fn client(&self) -> &ClientArgs {
        match self {
            LayerCommand::List(list) => &list.paging().client,
            LayerCommand::Show(show) => &show.client,
        }
    }
}

/// What can be done with the objects of one kind, which decides the filters of `list`.
#[derive(Debug, Subcommand)]
pub(crate) enum ObjectCommand<L: ClapArgs> {
    /// List them
    List(L),
    /// Show one in full, with its access list
    Show(ObjectShowArgs),
    /// Delete some, after a confirmation; root also those that it may not change
    Delete(ObjectDeleteArgs),
}

/// What can be done with layers, all of which are built in.
#[derive(Debug, Subcommand)]
pub(crate) enum LayerCommand {
    /// List them
    List(ObjectListArgs),
    /// Show one in full, with its access list
    Show(ObjectShowArgs),
}

/// The filters of `list` for one kind of objects.
pub(crate) trait ListOfObjects: ClapArgs {
    fn paging(&self) -> &ObjectPagingArgs;

    /// The template of an enumerator of the kind.
    fn template(&self, kind: ObjectKind) -> ObjectTemplate {
        ObjectTemplate { after: self.paging().after, ..ObjectTemplate::all(kind) }
    }
}

/// `list` of a kind that nothing selects from.
#[derive(Debug, ClapArgs)]
pub(crate) struct ObjectListArgs {
    #[command(flatten)]
    pub(crate) paging: ObjectPagingArgs,
}

impl ListOfObjects for ObjectListArgs {
    fn paging(&self) -> &ObjectPagingArgs {
        &self.paging
    }
}

/// `list` of a kind whose objects belong to providers.
#[derive(Debug, ClapArgs)]
pub(crate) struct ProvidedListArgs {
    /// List only objects of this provider: its key, or its name in Windows' headers
    #[arg(long, value_name = "KEY", value_parser = guid)]
    pub(crate) provider: Option<Guid>,
    #[command(flatten)]
    pub(crate) paging: ObjectPagingArgs,
}

impl ListOfObjects for ProvidedListArgs {
    fn paging(&self) -> &ObjectPagingArgs {
        &self.paging
    }

    fn template(&self, kind: ObjectKind) -> ObjectTemplate {
        ObjectTemplate { provider: self.provider, after: self.paging.after, ..ObjectTemplate::all(kind) }
    }
}

/// `list` of callouts.
#[derive(Debug, ClapArgs)]
pub(crate) struct CalloutListArgs {
    /// List only callouts at this layer, such as FWPM_LAYER_OUTBOUND_TRANSPORT_V4
    #[arg(long, value_name = "LAYER", value_parser = guid)]
    pub(crate) layer: Option<Guid>,
    #[command(flatten)]
    pub(crate) provided: ProvidedListArgs,
}

impl ListOfObjects for CalloutListArgs {
    fn paging(&self) -> &ObjectPagingArgs {
        &self.provided.paging
    }

    fn template(&self, kind: ObjectKind) -> ObjectTemplate {
        ObjectTemplate { layer: self.layer, ..self.provided.template(kind) }
    }
}

/// `list` of filters.
#[derive(Debug, ClapArgs)]
#[command(after_help = FILTER_LIST_HELP)]
pub(crate) struct FilterListArgs {
    /// List only filters at this layer, such as FWPM_LAYER_OUTBOUND_TRANSPORT_V4
    #[arg(long, value_name = "LAYER", value_parser = guid)]
    pub(crate) layer: Option<Guid>,
    /// Sort by weight, heaviest first
    #[arg(long)]
    pub(crate) sorted: bool,
    #[command(flatten)]
    pub(crate) provided: ProvidedListArgs,
}

impl ListOfObjects for FilterListArgs {
    fn paging(&self) -> &ObjectPagingArgs {
        &self.provided.paging
    }

    fn template(&self, kind: ObjectKind) -> ObjectTemplate {
        let template = self.provided.template(kind);
        let sorted = if self.sorted { ENUM_SORTED } else { 0 };
        ObjectTemplate { layer: self.layer, flags: template.flags | sorted, ..template }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ObjectPagingArgs {
    /// Print at most N objects
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Start after the object with this key
    #[arg(long, value_name = "KEY", value_parser = guid)]
    pub(crate) after: Option<Guid>,
    /// Fetch N objects per request
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) page_size: NonZeroU32,
    #[command(flatten)]
    pub(crate) output: FormatArgs,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ObjectShowArgs {
    /// Id, key, or name in Windows' headers
    #[arg(value_name = "ID", value_parser = object_name)]
    pub(crate) name: ObjectName,
    #[command(flatten)]
    pub(crate) output: FormatArgs,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ObjectDeleteArgs {
    /// Ids, keys, or names in Windows' headers
    #[arg(value_name = "ID", required = true, value_parser = object_name)]
    pub(crate) names: Vec<ObjectName>,
    /// Do not ask for confirmation
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) client: ClientArgs,
}

#[derive(Clone, Copy, Debug, ClapArgs)]
pub(crate) struct FormatArgs {
    /// Output format: table, wide (all columns), json, or jsonl (one JSON object per line)
    #[arg(short, long, value_name = "FORMAT", default_value = "table", hide_possible_values = true)]
    pub(crate) output: Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// List the kernel's IPsec policies, whoever installed them, in the kernel's order
    #[command(after_help = POLICY_LIST_HELP)]
    List(PolicyListArgs),
    /// Show one IPsec policy of the kernel in full
    Show(PolicyShowArgs),
    /// Explain what this machine does with a packet: which policy decides, and which SA carries it
    #[command(after_help = EXPLAIN_HELP)]
    Explain(ExplainArgs),
}

impl PolicyCommand {
    pub(crate) fn client(&self) -> &ClientArgs {
        match self {
            PolicyCommand::List(list) => &list.client,
            PolicyCommand::Show(show) => &show.client,
            PolicyCommand::Explain(explain) => &explain.client,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PolicyListArgs {
    /// List only policies of this direction: in, out or fwd
    #[arg(long, value_name = "DIR", value_parser = direction)]
    pub(crate) dir: Option<KernelPolicyDirection>,
    /// Include fwd policies that only repeat an in policy
    #[arg(long)]
    pub(crate) all: bool,
    /// Print at most N policies
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    #[command(flatten)]
    pub(crate) output: FormatArgs,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PolicyShowArgs {
    /// Index of the policy, as `wfp policy list` and `wfp sa show` print it
    #[arg(value_name = "INDEX")]
    pub(crate) index: u32,
    #[command(flatten)]
    pub(crate) output: FormatArgs,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) client: ClientArgs,
}

fn direction(text: &str) -> Result<KernelPolicyDirection, String> {
    let all = KernelPolicyDirection::ALL;
    let found = all.iter().find(|direction| direction.word() == text);
    found.copied().ok_or_else(|| "expected in, out or fwd".to_owned())
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ExplainArgs {
    /// Source address of the packet
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: IpAddr,
    /// Destination address of the packet
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to: IpAddr,
    /// IP protocol: tcp, udp, sctp, icmp, icmpv6, esp, ah or a number
    #[arg(long, value_name = "PROTOCOL", default_value = "0", value_parser = protocol)]
    pub(crate) proto: u8,
    /// Source port
    #[arg(long, value_name = "PORT", default_value = "0")]
    pub(crate) sport: u16,
    /// Destination port
    #[arg(long, value_name = "PORT", default_value = "0")]
    pub(crate) dport: u16,
    /// Explain a packet that this machine receives, not one that it sends
    #[arg(long = "in", conflicts_with = "forward")]
    pub(crate) inbound: bool,
    /// Explain a packet that this machine forwards
    #[arg(long)]
    pub(crate) forward: bool,
    #[command(flatten)]
    pub(crate) output: FormatArgs,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) client: ClientArgs,
}

fn guid(text: &str) -> Result<Guid, String> {
    match openwfp::api::guids::by_name(text) {
        Some(guid) => Ok(guid),
        None => text.parse().map_err(|error| without_code(&error)),
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
        number => number.parse().map_err(|_| {
            format!("unknown protocol \"{text}\". Use tcp, udp, sctp, icmp, icmpv6, esp, ah or a number.")
        }),
    }
}

/// Which contexts a command works on.
#[derive(Debug, ClapArgs)]
pub(crate) struct TemplateArgs {
    /// Select contexts whose local address is this address, or in this network or range (A-B)
    #[arg(long, value_name = "NET", value_parser = address_match)]
    pub(crate) local: Option<AddressMatch>,
    /// Select contexts whose remote address is this address, or in this network or range (A-B)
    #[arg(long, value_name = "NET", value_parser = address_match)]
    pub(crate) remote: Option<AddressMatch>,
}

impl TemplateArgs {
    pub(crate) fn template(&self) -> ContextTemplate {
        ContextTemplate {
            local: self.local.clone().unwrap_or_default(),
            remote: self.remote.clone().unwrap_or_default(),
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    /// Select contexts with this inbound or outbound SPI, such as 0xc71b7200
    #[arg(long, value_name = "SPI", value_parser = spi)]
    pub(crate) spi: Option<Spi>,
    /// Print at most N contexts
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Start after this context: its id, or one of its SPIs with 0x
    #[arg(long, value_name = "ID", value_parser = reference)]
    pub(crate) after: Option<Reference>,
    /// Fetch N contexts per request
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) page_size: NonZeroU32,
    #[command(flatten)]
    pub(crate) output: FormatArgs,
    /// Print the keys, too
    #[arg(long)]
    pub(crate) show_keys: bool,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    /// Exit after N changes
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Output format: table or jsonl (one JSON object per line)
    #[arg(short, long, value_name = "FORMAT", default_value = "table", hide_possible_values = true)]
    pub(crate) output: Format,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ChangeArgs {
    /// Contexts: their ids, or one SPI of each with 0x
    #[arg(value_name = "ID", value_parser = reference, required = true)]
    pub(crate) ids: Vec<Reference>,
    /// Do not ask for confirmation
    #[arg(long)]
    pub(crate) yes: bool,
    /// Change SAs that other programs installed in the kernel, too
    #[arg(long)]
    pub(crate) adopt: bool,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ExportArgs {
    /// Contexts: their ids, or one SPI of each with 0x [default: all]
    #[arg(value_name = "ID", value_parser = reference)]
    pub(crate) ids: Vec<Reference>,
    /// Format: wireshark (the table of ESP SAs that Wireshark and tshark read)
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    pub(crate) format: ExportFormat,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) client: ClientArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Wireshark's and tshark's table of ESP SAs
    Wireshark,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ShowArgs {
    /// Context: its id, or one of its SPIs with 0x
    #[arg(value_name = "ID", value_parser = reference)]
    pub(crate) id: Reference,
    #[command(flatten)]
    pub(crate) output: FormatArgs,
    /// Print the keys, too
    #[arg(long)]
    pub(crate) show_keys: bool,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) client: ClientArgs,
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct ServeArgs {
    /// Serve this engine; repeat for several, which clients select by #NAME [env: OPENWFP_ENGINE] [default: xfrm:]
    #[arg(long, value_name = "[NAME=]URL")]
    pub(crate) engine: Vec<NamedUrl>,
    /// Configuration file, TOML [env: OPENWFP_CONFIG] [default: /etc/openwfp/wfp.toml if it exists]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Check the configuration and the files that it names, then exit
    #[arg(long)]
    pub(crate) check_config: bool,
    /// Listen on this Unix socket; same as --set listen.unix=PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) unix: Option<String>,
    /// Listen for mutual TLS on ADDRESS:PORT; same as --set listen.tls=ADDRESS
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) tls: Option<String>,
    /// Listen without encryption on a loopback ADDRESS:PORT; same as --set listen.plaintext=ADDRESS
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) plaintext: Option<String>,
    /// Override a configuration key, such as limits.connections=100
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Let clients change SAs that other programs installed in the kernel, too
    #[arg(long)]
    pub(crate) adopt: bool,
    /// Remove all SAs and policies of the daemon from the kernel when it stops; without it they stay in force
    #[arg(long)]
    pub(crate) flush_on_exit: bool,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) output: ColorArgs,
}

/// The arguments of `wfp flush`.
#[derive(Debug, ClapArgs)]
pub(crate) struct FlushArgs {
    /// Remove without asking for confirmation
    #[arg(long)]
    pub(crate) yes: bool,
    /// Directory of the records of what is the engine's own [default: /run/openwfp]
    #[arg(long, value_name = "DIR")]
    pub(crate) runtime: Option<PathBuf>,
    /// Kernel to remove from: xfrm: or xfrm:netns=NAME [env: OPENWFP_ENGINE] [default: xfrm:]
    #[arg(long, value_name = "URL")]
    pub(crate) engine: Vec<NamedUrl>,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) output: ColorArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// As many columns as fit the terminal
    Table,
    /// All columns, whatever the width
    Wide,
    /// One JSON document
    Json,
    /// One JSON object per line
    Jsonl,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// A context by its id or by one of its SPIs and, where several have that, the remote address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    Id(SaContextId),
    Spi(Spi, Option<IpAddr>),
}

fn reference(text: &str) -> Result<Reference, String> {
    if text.starts_with("0x") || text.starts_with("0X") {
        return match text.split_once('@') {
            None => spi(text).map(|spi| Reference::Spi(spi, None)),
            Some((number, remote)) => {
                let remote = remote.parse().map_err(|error| format!("\"{remote}\": {error}"))?;
                spi(number).map(|spi| Reference::Spi(spi, Some(remote)))
            }
        };
    }
    match text.parse() {
        Ok(id) => Ok(Reference::Id(SaContextId(id))),
        Err(_) => Err(
            "expected an id, such as 7, an SPI, such as 0xc71b7200, or an SPI and the remote address, such as 0x3@192.0.2.9"
                .into(),
        ),
    }
}

fn spi(text: &str) -> Result<Spi, String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let value = match digits {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    value.and_then(Spi::new).ok_or_else(|| "expected an SPI: 0x and up to 8 hexadecimal digits, not 0".into())
}

fn address_match(text: &str) -> Result<AddressMatch, String> {
    if let Ok(address) = text.parse() {
        return Ok(AddressMatch::Address(address));
    }
    if let Some((low, high)) = text.split_once('-') {
        let end = |text: &str| text.trim().parse::<IpAddr>().map_err(|e| format!("\"{text}\": {e}"));
        return AddressMatch::range(end(low)?, end(high)?).map_err(|error| without_code(&error));
    }
    match text.parse::<openwfp::api::IpNet>() {
        Ok(network) => Ok(AddressMatch::Subnet(network.trunc())),
        Err(_) => Err("expected an address, a network (10.0.0.0/8) or a range (10.0.0.1-10.0.0.9)".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        command().debug_assert();
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
        let spi = Spi::new(16).unwrap();
        assert_eq!(reference("0x10").unwrap(), Reference::Spi(spi, None));
        let remote = "fd00::1".parse().unwrap();
        assert_eq!(reference("0x10@fd00::1").unwrap(), Reference::Spi(spi, Some(remote)));
        assert!(reference("0x10@nobody").unwrap_err().contains("nobody"));
        for bad in ["", "0x", "0x0", "0x123456789", "-1", "c71b7200"] {
            assert!(reference(bad).is_err(), "{bad}");
        }
    }
}
