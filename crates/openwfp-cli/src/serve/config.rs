//! The daemon's configuration: a TOML file, with overrides from environment variables and flags. Every
//! key is checked.

use crate::failure::without_code;
use openwfp::DAEMON_SOCKET;
use openwfp::EngineUrl;
use openwfp::NamedUrl;
use openwfp::api::Ace;
use openwfp::api::Principal;
use openwfp::api::Rights;
use openwfp::api::Securable;
use openwfp::api::SecurityDescriptor;
use openwfp::api::Sid;
use openwfp::rpc::Limits;
use openwfp::rpc::ServerOptions;
use openwfp::rpc::tls::ClientRule;
use openwfp::rpc::tls::ServerTls;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

/// The configuration file that is read by default.
pub(crate) const DEFAULT_PATH: &str = "/etc/openwfp/wfp.toml";

/// Prefixes of the variables that override keys, lowest precedence first. The first is the older one.
const ENVIRONMENT: [&str; 2] = ["WFP_SERVE_", "OPENWFP_SERVE_"];

/// Every key that `--set` and environment variables can override: all but those of tables in lists.
pub(crate) const KEYS: &[&str] = &[
    "engine",
    "state.directory",
    "state.runtime",
    "state.flush_on_exit",
    "policy.nftables",
    "policy.unenforced",
    "listen.unix",
    "listen.mode",
    "listen.group",
    "listen.tls",
    "listen.plaintext",
    "listen.plaintext_user",
    "tls.cert",
    "tls.key",
    "tls.client_ca",
    "tls.client_crl",
    "access.readers",
    "access.operators",
    "access.admins",
    "access.keys",
    "access.engine",
    "access.sa_db",
    "limits.connections",
    "limits.connections_per_user",
    "limits.handshakes",
    "limits.handshakes_per_address",
    "limits.sessions_per_user",
    "limits.enumerators_per_session",
    "limits.subscriptions_per_session",
    "limits.subscriptions_per_user",
    "limits.requests_per_second",
    "limits.bytes_per_user",
    "limits.bytes",
    "limits.message_bytes",
    "limits.page_entries",
    "limits.page_bytes",
    "limits.waiting_calls",
    "timeouts.keepalive_interval",
    "timeouts.keepalive_timeout",
    "timeouts.handshake",
    "timeouts.transaction",
    "timeouts.stop",
    "log.level",
    "log.format",
];

/// Earlier names of keys, which remain valid.
const RENAMED: [(&str, &str); 2] =
    [("listen.unix_mode", "listen.mode"), ("listen.unix_group", "listen.group")];

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    #[serde(deserialize_with = "engines")]
    pub(crate) engine: EnginesText,
    pub(crate) state: State,
    pub(crate) policy: Policy,
    pub(crate) listen: Listen,
    pub(crate) tls: Option<Tls>,
    pub(crate) access: Access,
    pub(crate) limits: LimitsTable,
    pub(crate) timeouts: Timeouts,
    pub(crate) log: Log,
}

/// The engines' URLs and names. The first one is the default.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EnginesText(pub(crate) Vec<NamedUrl>);

/// The directories in which the daemon keeps state.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct State {
    /// Directory of the store of persistent objects. None: the usual one, if it can be used. Empty: no
    /// store.
    pub(crate) directory: Option<PathBuf>,
    /// Directory of the journal of the kernel states that belong to the daemon.
    pub(crate) runtime: Option<PathBuf>,
    /// Whether the daemon removes its SAs and policies from the kernel when it stops.
    pub(crate) flush_on_exit: bool,
}

/// How filters take effect.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Policy {
    /// Whether nftables carries out filters.
    pub(crate) nftables: OfNftables,
    /// What becomes of filters that nothing can carry out.
    pub(crate) unenforced: OfUnenforced,
}

/// Whether nftables carries out filters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OfNftables {
    #[default]
    Auto,
    Off,
    Require,
}

/// What becomes of filters that nothing can carry out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OfUnenforced {
    #[default]
    Accept,
    Refuse,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Listen {
    /// Path of the socket; empty for none.
    pub(crate) unix: PathBuf,
    #[serde(alias = "unix_mode", deserialize_with = "text::<_, FileMode>")]
    pub(crate) mode: FileMode,
    #[serde(alias = "unix_group", deserialize_with = "optional::<_, Group>")]
    pub(crate) group: Option<Group>,
    pub(crate) tls: Option<SocketAddr>,
    pub(crate) plaintext: Option<SocketAddr>,
    #[serde(deserialize_with = "text::<_, User>")]
    pub(crate) plaintext_user: User,
}

/// Permissions in octal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FileMode(pub(crate) u32);

/// A group by its name or number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) gid: Option<u32>,
    pub(crate) sid: Sid,
}

/// A user by name, number or SID.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct User(pub(crate) Sid);

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    cert: PathBuf,
    key: PathBuf,
    client_ca: PathBuf,
    client_crl: Option<PathBuf>,
    #[serde(default)]
    clients: Vec<Client>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Client {
    #[serde(deserialize_with = "text::<_, CertificateName>")]
    name: CertificateName,
    #[serde(deserialize_with = "text::<_, User>")]
    user: User,
    #[serde(default, deserialize_with = "list::<_, Group>")]
    groups: Vec<Group>,
}

#[derive(Clone, Debug, PartialEq)]
struct CertificateName(String);

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Access {
    /// Who may do what, for those who need no access lists of their own.
    #[serde(deserialize_with = "names")]
    pub(crate) readers: Vec<Who>,
    #[serde(deserialize_with = "names")]
    pub(crate) operators: Vec<Who>,
    #[serde(deserialize_with = "names")]
    pub(crate) admins: Vec<Who>,
    #[serde(deserialize_with = "names")]
    pub(crate) keys: Vec<Who>,
    #[serde(deserialize_with = "optional::<_, AccessList>")]
    pub(crate) engine: Option<AccessList>,
    #[serde(deserialize_with = "optional::<_, AccessList>")]
    pub(crate) sa_db: Option<AccessList>,
}

/// A user, a group, or the clients with a certificate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Who {
    Sid(Sid),
    Certificate(String),
}

/// A security descriptor with an access list; without a list in it only if the configuration says [`EVERYONE`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AccessList(pub(crate) SecurityDescriptor);

/// What the configuration says in place of an access list to give everybody every right.
const EVERYONE: &str = "everyone";

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsTable {
    connections: usize,
    connections_per_user: usize,
    handshakes: usize,
    handshakes_per_address: usize,
    sessions_per_user: usize,
    enumerators_per_session: usize,
    subscriptions_per_session: usize,
    subscriptions_per_user: usize,
    requests_per_second: u32,
    bytes_per_user: usize,
    bytes: usize,
    message_bytes: usize,
    page_entries: u32,
    page_bytes: usize,
    waiting_calls: usize,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Timeouts {
    #[serde(deserialize_with = "text::<_, Time>")]
    keepalive_interval: Time,
    #[serde(deserialize_with = "text::<_, Time>")]
    keepalive_timeout: Time,
    #[serde(deserialize_with = "text::<_, Time>")]
    handshake: Time,
    #[serde(deserialize_with = "text::<_, Time>")]
    transaction: Time,
    #[serde(deserialize_with = "text::<_, Time>")]
    pub(crate) stop: Time,
}

/// A duration such as `5s`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Time(pub(crate) Duration);

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    #[serde(deserialize_with = "text::<_, Level>")]
    pub(crate) level: Level,
    pub(crate) format: LogFormat,
}

/// A filter in the syntax of `tracing`, such as `info` or `openwfp_rpc=debug,info`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Level(pub(crate) String);

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// A value that the file contains as text.
trait Text: Sized {
    fn read(text: &str) -> Result<Self, String>;
}

fn text<'de, D: Deserializer<'de>, T: Text>(from: D) -> Result<T, D::Error> {
    T::read(&String::deserialize(from)?).map_err(D::Error::custom)
}

fn optional<'de, D: Deserializer<'de>, T: Text>(from: D) -> Result<Option<T>, D::Error> {
    text(from).map(Some)
}

fn list<'de, D: Deserializer<'de>, T: Text>(from: D) -> Result<Vec<T>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| T::read(text)).collect::<Result<_, _>>().map_err(D::Error::custom)
}

/// Reads a list of names, or a text with names between commas.
fn names<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Who>, D::Error> {
    let texts = match OneOrMore::deserialize(from)? {
        OneOrMore::One(text) => {
            let mut texts: Vec<String> = Vec::new();
            for part in text.split(',').filter(|part| !part.is_empty()) {
                // The subject of a certificate has commas in it.
                match texts.last_mut() {
                    Some(last)
                        if last.starts_with("subject:") && part.contains('=') && !part.contains(':') =>
                    {
                        last.push(',');
                        last.push_str(part);
                    }
                    _ => texts.push(part.trim().to_owned()),
                }
            }
            texts
        }
        OneOrMore::More(texts) => texts,
    };
    texts.iter().map(|text| Who::read(text)).collect::<Result<_, _>>().map_err(D::Error::custom)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// Reads one engine, or a list of engines.
fn engines<'de, D: Deserializer<'de>>(from: D) -> Result<EnginesText, D::Error> {
    let texts = match OneOrMore::deserialize(from)? {
        OneOrMore::One(text) => vec![text],
        OneOrMore::More(texts) => texts,
    };
    if texts.is_empty() {
        return Err(D::Error::custom("the list of engines is empty"));
    }
    let read = |text: &String| -> Result<NamedUrl, String> {
        let named: NamedUrl = text.parse().map_err(|error: openwfp::api::Error| error.what().to_owned())?;
        check_engine(&named.url).map(|()| named)
    };
    texts.iter().map(read).collect::<Result<_, _>>().map(EnginesText).map_err(D::Error::custom)
}

/// Rejects engines of other daemons: a daemon serves engines of its own process.
pub(crate) fn check_engine(url: &EngineUrl) -> Result<(), String> {
    match url {
        EngineUrl::Remote { .. } => Err(format!(
            "a daemon cannot serve {url}, which is another daemon's engine. Use xfrm:, memory: or capture:DIR."
        )),
        _ => Ok(()),
    }
}

impl Text for FileMode {
    fn read(text: &str) -> Result<FileMode, String> {
        match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= 0o777 => Ok(FileMode(mode)),
            _ => Err(format!("invalid file mode \"{text}\": expected up to \"0777\", such as \"0660\"")),
        }
    }
}

impl Text for Group {
    fn read(text: &str) -> Result<Group, String> {
        if let Ok(sid) = text.parse() {
            return Ok(Group { gid: None, sid });
        }
        let gid = match text.parse() {
            Ok(gid) => gid,
            Err(_) => match nix::unistd::Group::from_name(text) {
                Ok(Some(group)) => group.gid.as_raw(),
                _ => return Err(format!("unknown group \"{text}\"")),
            },
        };
        Ok(Group { gid: Some(gid), sid: Sid::unix_group(gid) })
    }
}

impl Text for User {
    fn read(text: &str) -> Result<User, String> {
        if let Ok(sid) = text.parse() {
            return Ok(User(sid));
        }
        if let Ok(uid) = text.parse() {
            return Ok(User(Sid::unix_user(uid)));
        }
        match nix::unistd::User::from_name(text) {
            Ok(Some(user)) => Ok(User(Sid::unix_user(user.uid.as_raw()))),
            _ => Err(format!(
                "unknown user \"{text}\". Give a name, a number or a SID, such as S-1-22-1-1000."
            )),
        }
    }
}

impl Text for Who {
    fn read(text: &str) -> Result<Who, String> {
        match text.split_once(':') {
            Some(("user", name)) => User::read(name).map(|user| Who::Sid(user.0)),
            Some(("group", name)) => Group::read(name).map(|group| Who::Sid(group.sid)),
            Some(_) => CertificateName::read(text).map(|name| Who::Certificate(name.0)),
            None => text.parse().map(Who::Sid).map_err(|_| {
                format!(
                    "\"{text}\" is neither a user nor a group nor a certificate's name: write user:NAME, group:NAME, dns:NAME, email:ADDRESS, uri:URI, ip:ADDRESS, subject:CN=NAME or a SID"
                )
            }),
        }
    }
}

impl Text for CertificateName {
    fn read(text: &str) -> Result<CertificateName, String> {
        match openwfp::rpc::tls::check_name(text) {
            Ok(()) => Ok(CertificateName(text.to_owned())),
            Err(error) => Err(without_code(&error)),
        }
    }
}

impl Text for AccessList {
    fn read(text: &str) -> Result<AccessList, String> {
        if text == EVERYONE {
            return Ok(AccessList(SecurityDescriptor::default()));
        }
        let descriptor: SecurityDescriptor = text.parse().map_err(|error| without_code(&error))?;
        match descriptor.dacl {
            Some(_) => Ok(AccessList(descriptor)),
            None => Err(format!(
                "no access list in \"{text}\": it would give everybody every right. Add a part D:, or write \"{EVERYONE}\" if that is what you want."
            )),
        }
    }
}

impl Text for Time {
    fn read(text: &str) -> Result<Time, String> {
        match humantime::parse_duration(text) {
            Ok(time) if (TIME_MIN..=TIME_MAX).contains(&time) => Ok(Time(time)),
            _ => Err(format!(
                "invalid duration \"{text}\": expected 1ms to 1day, such as \"5s\" or \"1m 30s\""
            )),
        }
    }
}

impl Text for Level {
    fn read(text: &str) -> Result<Level, String> {
        // The library takes an unknown word for the name of a part of the program, and then logs nothing of the others.
        let is_level = |word: &str| {
            ["off", "error", "warn", "info", "debug", "trace"].contains(&word.to_ascii_lowercase().as_str())
        };
        let is_part = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_lowercase())
                && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
        };
        let is_directive = |text: &str| match text.trim().split_once('=') {
            None => is_level(text.trim()),
            Some((part, level)) => is_part(part) && is_level(level),
        };
        if text.split(',').all(is_directive) && text.parse::<tracing_subscriber::EnvFilter>().is_ok() {
            return Ok(Level(text.to_owned()));
        }
        Err(format!(
            "invalid log level \"{text}\": use error, warn, info, debug or trace, or PART=LEVEL between commas, such as openwfp_rpc=debug,info"
        ))
    }
}

impl Default for EnginesText {
    fn default() -> EnginesText {
        EnginesText(vec![EngineUrl::XFRM.into()])
    }
}

impl Default for Listen {
    fn default() -> Listen {
        Listen {
            unix: DAEMON_SOCKET.into(),
            mode: FileMode(0o660),
            group: None,
            tls: None,
            plaintext: None,
            plaintext_user: User(Sid::ANONYMOUS),
        }
    }
}

impl Default for LimitsTable {
    fn default() -> LimitsTable {
        LimitsTable::of(&Limits::default())
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        let options = ServerOptions::default();
        Timeouts {
            keepalive_interval: Time(options.keepalive_interval),
            keepalive_timeout: Time(options.keepalive_timeout),
            handshake: Time(options.handshake_timeout),
            transaction: Time(options.limits.transaction_time),
            stop: Time(Duration::from_secs(10)),
        }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log { level: Level("info".into()), format: LogFormat::Text }
    }
}

/// Converts limits to the table of the configuration and back, and checks their ranges.
macro_rules! limits {
    ($($field:ident $least:literal to $most:literal;)*) => {
        impl LimitsTable {
            fn of(limits: &Limits) -> LimitsTable {
                LimitsTable { $($field: limits.$field),* }
            }

            fn limits(&self, transaction_time: Duration) -> Limits {
                Limits { $($field: self.$field,)* transaction_time }
            }

            fn check(&self) -> Result<(), String> {
                $(
                    let (least, most, value) = ($least, $most, self.$field);
                    if value < least || value > most {
                        return Err(format!(
                            "limits.{} must be {least} to {most}, not {value}",
                            stringify!($field)
                        ));
                    }
                )*
                Ok(())
            }
        }
    };
}

limits! {
    connections 2 to 1_000_000;
    connections_per_user 1 to 1_000_000;
    handshakes 1 to 1_000_000;
    handshakes_per_address 1 to 1_000_000;
    sessions_per_user 1 to 1_000_000;
    enumerators_per_session 1 to 65_536;
    subscriptions_per_session 1 to 65_536;
    subscriptions_per_user 1 to 1_000_000;
    requests_per_second 0 to 4_294_967_295;
    bytes_per_user 1_048_576 to 1_099_511_627_776;
    bytes 4_194_304 to 1_099_511_627_776;
    message_bytes 65_536 to 1_073_741_824;
    page_entries 1 to 1_000_000;
    page_bytes 1024 to 67_108_864;
    // Each may take a thread.
    waiting_calls 1 to 4096;
}

impl LimitsTable {
    /// Checks limits that depend on each other.
    fn check_together(&self) -> Result<(), String> {
        if self.message_bytes > self.bytes_per_user {
            return Err(
                "limits.bytes_per_user must be at least limits.message_bytes, or no long request is admitted"
                    .into(),
            );
        }
        if self.bytes_per_user > self.bytes / 4 * 3 {
            return Err("limits.bytes_per_user must be at most three quarters of limits.bytes, which root shares with nobody".into());
        }
        Ok(())
    }
}

/// The range of every duration.
const TIME_MIN: Duration = Duration::from_millis(1);
const TIME_MAX: Duration = Duration::from_secs(24 * 3600);

impl Access {
    /// Returns each name with the rights that it gets.
    fn roles(&self) -> impl Iterator<Item = (&Who, Rights)> {
        let roles = [
            (&self.readers, Rights::OF_READERS),
            (&self.operators, Rights::OF_OPERATORS),
            (&self.admins, Rights::OF_ADMINISTRATORS),
            (&self.keys, Rights::OF_READERS.and(Rights::READ_KEYS)),
        ];
        roles.into_iter().flat_map(|(names, rights)| names.iter().map(move |who| (who, rights)))
    }

    fn certificates(&self) -> impl Iterator<Item = &String> {
        self.roles().filter_map(|(who, _)| match who {
            Who::Certificate(name) => Some(name),
            Who::Sid(_) => None,
        })
    }
}

impl Tls {
    fn server(&self) -> ServerTls {
        let rule = |client: &Client| ClientRule {
            name: client.name.0.clone(),
            principal: Principal {
                user: client.user.0,
                groups: client.groups.iter().map(|group| group.sid).collect(),
            },
        };
        ServerTls {
            cert: self.cert.clone(),
            key: self.key.clone(),
            client_ca: self.client_ca.clone(),
            client_crl: self.client_crl.clone(),
            clients: self.clients.iter().map(rule).collect(),
        }
    }
}

impl Config {
    /// Reads the given file, or the default one if it exists, and applies the overrides: first environment
    /// variables (pairs of name and value), then flags (`KEY=VALUE`).
    ///
    /// # Errors
    /// A message with the file, line and column, or with the override, and what is wrong.
    pub(crate) fn read(
        path: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[String],
    ) -> Result<Config, String> {
        let usual = Path::new(DEFAULT_PATH);
        let path = path.or_else(|| usual.exists().then_some(usual));
        let text = match path {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
            None => String::new(),
        };
        let at = path.unwrap_or(usual).display().to_string();
        // The errors below quote the file.
        if text.contains("-----BEGIN") {
            return Err(format!("{at}: this is a PEM file, not a configuration"));
        }
        let mut config = Config::parse(&text).map_err(|error| format!("{at}: {error}"))?;
        let overrides = overrides(environment, flags)?;
        if !overrides.is_empty() {
            let mut table: toml::Table = text.parse().map_err(|error| format!("{at}: {error}"))?;
            for (source, key, value) in overrides {
                set(&mut table, key, &value).map_err(|error| format!("{source}: {error}"))?;
                config = table
                    .clone()
                    .try_into()
                    .map_err(|error: toml::de::Error| format!("{source}: {}", error.message()))?;
            }
        }
        config.check().map_err(|error| format!("{at}: {error}"))?;
        Ok(config)
    }

    fn parse(text: &str) -> Result<Config, String> {
        toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())
    }

    /// Checks rules that concern several keys.
    fn check(&self) -> Result<(), String> {
        self.limits.check()?;
        self.limits.check_together()?;
        if self.access.engine.is_some() && self.access.roles().next().is_some() {
            return Err(
                "access.engine replaces access.readers, operators, admins and keys: use either".into()
            );
        }
        if self.listen.tls.is_some() && self.tls.is_none() {
            return Err("listen.tls needs a section [tls] with cert, key and client_ca".into());
        }
        if self.listen.plaintext.is_some_and(|address| !address.ip().is_loopback()) {
            return Err(
                "listen.plaintext must be a loopback address; without TLS the daemon listens only on those"
                    .into(),
            );
        }
        Ok(())
    }

    /// Returns what the operator ought to know of a valid configuration each time it takes effect.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let lists = [("access.engine", &self.access.engine), ("access.sa_db", &self.access.sa_db)];
        let is_for_everyone =
            |list: &Option<AccessList>| list.as_ref().is_some_and(|list| list.0.dacl.is_none());
        lists
            .into_iter()
            .filter(|(_, list)| is_for_everyone(list))
            .map(|(key, _)| {
                format!(
                    "{key} = \"{EVERYONE}\" gives every client every right, also to keys and to access lists"
                )
            })
            .collect()
    }

    /// Returns the keys whose values differ and take effect only when the daemon starts. All others take effect at a reload.
    pub(crate) fn needs_restart(&self, new: &Config) -> Vec<&'static str> {
        macro_rules! changed {
            ($($key:literal $($field:ident).+),* $(,)?) => {
                [$(($key, self.$($field).+ != new.$($field).+)),*]
            };
        }
        let keys = changed! {
            "engine" engine,
            "state.directory" state.directory,
            "state.runtime" state.runtime,
            "policy.nftables" policy.nftables,
            "policy.unenforced" policy.unenforced,
            "listen.unix" listen.unix,
            "listen.mode" listen.mode,
            "listen.group" listen.group,
            "listen.tls" listen.tls,
            "listen.plaintext" listen.plaintext,
            "listen.plaintext_user" listen.plaintext_user,
            "limits.message_bytes" limits.message_bytes,
            "limits.waiting_calls" limits.waiting_calls,
            "timeouts.keepalive_interval" timeouts.keepalive_interval,
            "timeouts.keepalive_timeout" timeouts.keepalive_timeout,
            "timeouts.handshake" timeouts.handshake,
            "log.format" log.format,
        };
        let tls = (self.tls.is_some() != new.tls.is_some()).then_some("tls");
        keys.into_iter().filter_map(|(key, changed)| changed.then_some(key)).chain(tls).collect()
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits.limits(self.timeouts.transaction.0)
    }

    /// Returns the TLS settings: those of the section, and a rule for each certificate that the access lists name.
    pub(crate) fn tls(&self) -> Option<ServerTls> {
        let mut server = self.tls.as_ref()?.server();
        for name in self.access.certificates() {
            if !server.clients.iter().any(|rule| rule.name == *name) {
                let principal = Principal::user(openwfp::rpc::tls::certificate_sid(name));
                server.clients.push(ClientRule { name: name.clone(), principal });
            }
        }
        Some(server)
    }

    /// Returns the security descriptor of something, given the usual one.
    pub(crate) fn security(&self, of: Securable, usual: &SecurityDescriptor) -> SecurityDescriptor {
        let list = match of {
            Securable::Engine => self.access.engine.as_ref(),
            Securable::SaDb => self.access.sa_db.as_ref(),
            _ => None,
        };
        // A list may name no owner or no group; these are then the usual ones.
        let mut wanted = list.map_or_else(|| usual.clone(), |list| list.0.clone());
        (wanted.owner, wanted.group) = (wanted.owner.or(usual.owner), wanted.group.or(usual.group));
        if let (Securable::Engine, None, Some(dacl)) = (of, list, &mut wanted.dacl) {
            let roles = self.access.roles();
            dacl.aces.extend(roles.map(|(who, rights)| Ace::allow(self.sid(who), rights).inherit()));
        }
        wanted
    }

    /// Returns the users and groups that have root's rights to take things over.
    pub(crate) fn administrators(&self) -> Vec<Sid> {
        self.access.admins.iter().map(|who| self.sid(who)).collect()
    }

    fn sid(&self, who: &Who) -> Sid {
        match who {
            Who::Sid(sid) => *sid,
            Who::Certificate(name) => {
                let clients = self.tls.as_ref().map_or(&[][..], |tls| &tls.clients);
                let user = clients.iter().find(|client| client.name.0 == *name).map(|client| client.user.0);
                user.unwrap_or_else(|| openwfp::rpc::tls::certificate_sid(name))
            }
        }
    }

    pub(crate) fn server_options(&self) -> ServerOptions {
        ServerOptions {
            limits: self.limits(),
            peer_groups: Some(openwfp_capi::peer_groups),
            keepalive_interval: self.timeouts.keepalive_interval.0,
            keepalive_timeout: self.timeouts.keepalive_timeout.0,
            handshake_timeout: self.timeouts.handshake.0,
        }
    }
}

type Override = (String, &'static str, String);

/// Returns the overrides in ascending order of precedence: the source for error messages, the key and
/// the value.
fn overrides(
    environment: impl Iterator<Item = (String, String)>,
    flags: &[String],
) -> Result<Vec<Override>, String> {
    let mut overrides = Vec::new();
    let environment: Vec<(String, String)> = environment.collect();
    for prefix in ENVIRONMENT {
        for (name, value) in &environment {
            let Some(wanted) = name.strip_prefix(prefix) else { continue };
            let is_variable = |key: &str| key.replace('.', "_").eq_ignore_ascii_case(wanted);
            let key = key_where(is_variable).ok_or_else(|| format!("{name}: {}", unknown(wanted)))?;
            overrides.push((name.clone(), key, value.clone()));
        }
    }
    for flag in flags {
        let (key, value) = flag.split_once('=').ok_or_else(|| format!("--set {flag}: expected KEY=VALUE"))?;
        let found = key_where(|known| known == key);
        let key = found.ok_or_else(|| format!("--set {flag}: {}", unknown(key)))?;
        overrides.push((format!("--set {flag}"), key, value.to_owned()));
    }
    Ok(overrides)
}

/// Returns the key whose name, or whose earlier name, is the wanted one.
fn key_where(is_wanted: impl Fn(&str) -> bool) -> Option<&'static str> {
    let renamed = RENAMED.iter().find(|(old, _)| is_wanted(old)).map(|(_, new)| *new);
    KEYS.iter().copied().find(|key| is_wanted(key)).or(renamed)
}

fn unknown(key: &str) -> String {
    format!("unknown key \"{key}\". The keys are: {}.", KEYS.join(", "))
}

fn set(table: &mut toml::Table, key: &str, value: &str) -> Result<(), String> {
    let value = match (value.parse::<i64>(), value) {
        // File modes and users are texts, even if they consist of digits.
        (Ok(number), _) if key.starts_with("limits.") => toml::Value::Integer(number),
        (_, "true" | "false") if key == "state.flush_on_exit" => toml::Value::Boolean(value == "true"),
        _ => toml::Value::String(value.to_owned()),
    };
    let Some((section, name)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return Ok(());
    };
    let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
    let section = section.as_table_mut().ok_or("its section is not a table")?;
    if let Some((old, _)) = RENAMED.iter().find(|(_, new)| *new == key) {
        section.remove(old.rsplit('.').next().unwrap_or_default());
    }
    section.insert(name.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, environment: &[(&str, &str)], flags: &[&str]) -> Result<Config, String> {
        let path = std::env::temp_dir().join(format!(
            "openwfp-config-{}-{:?}.toml",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::write(&path, text).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let config = Config::read(Some(&path), environment, &flags);
        std::fs::remove_file(&path).unwrap();
        config
    }

    #[test]
    fn the_example_is_the_defaults_and_has_every_key() {
        let example = include_str!("../../../../packaging/wfp.toml");
        assert_eq!(Config::parse(example).unwrap(), Config::default());
        // Uncommented, the examples make a configuration with every key.
        let uncommented: String =
            example.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
        // This one excludes others.
        let uncommented = uncommented.replace("## engine = \"D:", "#engine = \"D:");
        let table: toml::Table = uncommented.parse().unwrap();
        for key in KEYS {
            let found = match key.split_once('.') {
                Some((section, name)) => table.get(section).and_then(|section| section.get(name)),
                None => table.get(*key),
            };
            let is_alternative = *key == "access.engine" && example.contains("\n## engine = \"D:");
            assert!(found.is_some() || is_alternative, "packaging/wfp.toml does not explain {key}");
        }
        Config::parse(&uncommented).unwrap();
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line, word) in [
            ("engine = \"memory:\"\nenigne = 1", 2, "enigne"),
            ("[limits]\nconnections = \"many\"", 2, "connections"),
            ("[listen]\nmode = \"rw\"", 2, "mode"),
            ("[listen]\nmode = \"0600\"\nunix_mode = \"0600\"", 1, "duplicate"),
            ("[access]\nreaders = [\"operator\"]", 2, "user:NAME"),
            ("[access]\nreaders = [\"group:there-is-none\"]", 2, "there-is-none"),
            ("[log]\nlevel = \"nope\"", 2, "nope"),
            ("[log]\nlevel = \"openwfp=loud\"", 2, "loud"),
            ("[timeouts]\nstop = \"10000years\"", 2, "1day"),
            ("\n\n[access]\nengine = \"D:(A;;XX;;;WD)\"", 4, "XX"),
            ("[access]\nengine = \"\"", 2, "everybody"),
            ("[access]\nsa_db = \"O:S-1-22-1-0\"", 2, "everyone"),
            ("[access]\nengine = \"G:S-1-22-2-0\"", 2, "everyone"),
            ("[access]\nengine = \"D:NO_ACCESS_CONTROL\"", 2, "flag"),
            ("[timeouts]\nstop = \"soon\"", 2, "soon"),
            ("[log]\nformat = \"xml\"", 2, "format"),
            ("[[tls.clients]]\nname = \"cn\"\nuser = \"0\"", 2, "dns:NAME"),
            ("engine = \"unix:/run/x\"", 1, "daemon"),
        ] {
            let error = read(text, &[], &[]).unwrap_err();
            assert!(error.contains(&format!("line {line}")) && error.contains(word), "{error}");
        }
    }

    #[test]
    fn whoever_gives_everybody_every_right_says_so() {
        for variable in ["WFP_SERVE_ACCESS_ENGINE", "OPENWFP_SERVE_ACCESS_SA_DB"] {
            let error = read("", &[(variable, "")], &[]).unwrap_err();
            assert!(error.starts_with(variable) && error.contains("everybody"), "{error}");
        }
        assert!(read("", &[], &["access.engine="]).unwrap_err().contains("everybody"));
        let config = read("[access]\nengine = \"everyone\"", &[], &[]).unwrap();
        assert_eq!(config.access.engine, Some(AccessList(SecurityDescriptor::default())));
        assert!(config.warnings()[0].starts_with("access.engine"), "{:?}", config.warnings());
        let closed = read("[access]\nengine = \"D:\"", &[], &[]).unwrap();
        assert!(closed.warnings().is_empty());
    }

    /// Each key takes effect at a reload, or is named as one that does not.
    #[test]
    fn no_change_of_a_key_is_passed_over_in_silence() {
        let tls = "[tls]\ncert = \"a\"\nkey = \"b\"\nclient_ca = \"c\"\n";
        // `tests/serve.rs` changes these while a daemon runs.
        let reloaded = [
            "tls.cert",
            "tls.key",
            "tls.client_ca",
            "tls.client_crl",
            "access.engine",
            "access.sa_db",
            "limits.connections",
            "limits.connections_per_user",
            "limits.sessions_per_user",
            "limits.enumerators_per_session",
            "limits.subscriptions_per_session",
            "access.readers",
            "access.operators",
            "access.admins",
            "access.keys",
            "limits.handshakes",
            "limits.handshakes_per_address",
            "limits.subscriptions_per_user",
            "limits.bytes_per_user",
            "limits.bytes",
            "limits.requests_per_second",
            "limits.page_entries",
            "limits.page_bytes",
            "timeouts.transaction",
            "timeouts.stop",
            "log.level",
            "state.flush_on_exit",
        ];
        let old = read(tls, &[], &[]).unwrap();
        for key in KEYS {
            let value = match *key {
                "engine" => "memory:",
                "policy.nftables" => "off",
                "policy.unenforced" => "refuse",
                "listen.mode" => "0600",
                "listen.tls" | "listen.plaintext" => "127.0.0.1:1",
                "listen.group" | "listen.plaintext_user" => "4711",
                "limits.bytes" => "200000000",
                "limits.bytes_per_user" => "20000000",
                "limits.message_bytes" | "limits.page_bytes" => "7340032",
                "access.readers" | "access.operators" | "access.admins" | "access.keys" => "group:0,user:0",
                "access.engine" | "access.sa_db" => "D:",
                "log.level" => "debug",
                "log.format" => "json",
                "state.flush_on_exit" => "true",
                key if key.starts_with("limits.") => "77",
                key if key.starts_with("timeouts.") => "77s",
                _ => "/somewhere",
            };
            let new = read(tls, &[], &[&format!("{key}={value}")]).unwrap();
            assert_ne!(new, old, "{key}");
            let named = if reloaded.contains(key) { Vec::new() } else { vec![*key] };
            assert_eq!(old.needs_restart(&new), named, "{key}");
            assert_eq!(new.needs_restart(&old), named, "{key} removed");
        }
        assert_eq!(read("", &[], &[]).unwrap().needs_restart(&old), ["tls"]);
    }

    #[test]
    fn a_key_in_place_of_the_configuration_is_not_quoted() {
        let error = read("-----BEGIN PRIVATE KEY-----MIGHAgEAMBMGByqGSM49\n", &[], &[]).unwrap_err();
        assert!(error.ends_with("this is a PEM file, not a configuration"), "{error}");
    }

    #[test]
    fn flags_override_the_environment_and_that_the_file() {
        let file = "[limits]\nconnections = 2\npage_entries = 1\nwaiting_calls = 1";
        let environment = [("WFP_SERVE_LIMITS_CONNECTIONS", "2"), ("WFP_SERVE_LIMITS_PAGE_ENTRIES", "2")];
        let config = read(file, &environment, &["limits.connections=3"]).unwrap();
        let limits = config.limits();
        assert_eq!((limits.connections, limits.page_entries, limits.waiting_calls), (3, 2, 1));
        // The earlier name of a key remains valid, wherever it stands.
        for (file, variable, flag) in [
            ("[listen]\nunix_mode = \"0600\"", "OPENWFP_SERVE_X", "listen.unix=/x"),
            ("", "WFP_SERVE_LISTEN_UNIX_MODE", "listen.unix=/x"),
            ("[listen]\nunix_mode = \"0640\"", "OPENWFP_SERVE_LISTEN_MODE", "listen.unix=/x"),
            ("[listen]\nunix_mode = \"0640\"", "OPENWFP_SERVE_X", "listen.unix_mode=0600"),
        ] {
            let environment = [(variable, "0600")];
            let environment = if variable.ends_with("_X") { &[][..] } else { &environment };
            let mode = read(file, environment, &[flag]).unwrap().listen.mode;
            assert_eq!(mode, FileMode(0o600), "{file} {variable} {flag}");
        }
        for flag in
            ["limits.conections=3", "limits.connections", "limits.connections=x", "listen.tls=1.2.3.4:5"]
        {
            let error = read("", &[], &[flag]).unwrap_err();
            assert!(error.contains("connections") || error.contains("tls"), "{error}");
        }
        for name in ["WFP_SERVE_LIMIT", "OPENWFP_SERVE_LIMIT"] {
            assert!(read("", &[(name, "1")], &[]).unwrap_err().starts_with(&format!("{name}: unknown key")));
        }
        // The new name wins over the old one, whatever their order.
        let (new, old) = (("OPENWFP_SERVE_LIMITS_CONNECTIONS", "4"), ("WFP_SERVE_LIMITS_CONNECTIONS", "5"));
        for environment in [[new, old], [old, new]] {
            assert_eq!(read("", &environment, &[]).unwrap().limits().connections, 4);
        }
    }

    #[test]
    fn names_become_rights() {
        let text = "[access]\nreaders = [\"group:0\", \"dns:ops.example.org\"]\nkeys = [\"dns:known\"]\nadmins = [\"user:0\"]\n\
                    [tls]\ncert = \"a\"\nkey = \"b\"\nclient_ca = \"c\"\n[[tls.clients]]\nname = \"dns:known\"\nuser = \"4711\"";
        let config = read(text, &[], &[]).unwrap();
        let usual: SecurityDescriptor =
            "O:S-1-22-1-0D:(A;CI;0xf0fff;;;S-1-22-1-0)(A;;0x40;;;WD)".parse().unwrap();
        let engine = config.security(Securable::Engine, &usual);
        let rights = |principal: &Principal| engine.rights_of(principal);
        let ops = openwfp::rpc::tls::certificate_sid("dns:ops.example.org");
        assert_eq!(rights(&Principal::unix(5, &[0])), Rights::OF_READERS);
        assert_eq!(rights(&Principal::user(ops)), Rights::OF_READERS);
        assert_eq!(rights(&Principal::unix(4711, &[])), Rights::OF_READERS.and(Rights::READ_KEYS));
        assert_eq!(rights(&Principal::unix(5, &[5])), Rights::OPEN);
        assert_eq!(config.administrators(), [Sid::ROOT]);
        assert_eq!(config.security(Securable::SaDb, &usual), usual);
        // A certificate that only the access lists name is known, too.
        let clients = config.tls().unwrap().clients;
        let names: Vec<&str> = clients.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names, ["dns:known", "dns:ops.example.org"]);
        assert_eq!(clients[1].principal.user, ops);
        // On a command line, with the commas of a certificate's subject.
        let config = read("", &[], &["access.readers=user:0,subject:CN=ops,O=Example,group:0"]).unwrap();
        let subject = Who::Certificate("subject:CN=ops,O=Example".into());
        let group = Who::Sid(Sid::unix_group(0));
        assert_eq!(config.access.readers, [Who::Sid(Sid::ROOT), subject, group]);
        assert!(!Rights::OF_ADMINISTRATORS.contain(Rights::READ_KEYS));
        let config = read("", &[], &["access.readers=subject:CN=ops,S-1-22-1-7"]).unwrap();
        assert_eq!(config.access.readers.len(), 2, "a SID is no part of a subject");
        let both = "[access]\nreaders = [\"user:0\"]\nengine = \"D:\"";
        assert!(read(both, &[], &[]).unwrap_err().contains("use either"));
        assert!(read("[access]\nreadrs = [\"user:0\"]", &[], &[]).unwrap_err().contains("readrs"));
    }

    #[test]
    fn every_limit_has_a_range() {
        for key in KEYS.iter().filter(|key| key.starts_with("limits.")) {
            for value in ["-1", "99999999999999999", "x"] {
                let error = read("", &[], &[&format!("{key}={value}")]).unwrap_err();
                assert!(error.contains("must be") || error.contains("invalid"), "{key} {value}: {error}");
            }
        }
        for set in ["limits.message_bytes=100000000", "limits.bytes=50000000"] {
            assert!(read("", &[], &[set]).unwrap_err().contains("bytes_per_user must be"), "{set}");
        }
        for key in KEYS.iter().filter(|key| key.starts_with("timeouts.")) {
            for value in ["0s", "2days", "18446744073709551615s", "-1s"] {
                assert!(read("", &[], &[&format!("{key}={value}")]).is_err(), "{key} {value}");
            }
        }
    }

    proptest::proptest! {
        /// Whatever the file and the overrides contain, the answer is a configuration that a server can run with, or a message.
        #[test]
        fn no_configuration_breaks_the_daemon(
            lines in proptest::collection::vec((0..KEYS.len(), "[a-z0-9:.,/\"\\[\\]=-]{0,12}|[0-9]{1,20}(s|ms|years)?"), 0..6),
            rubbish in "[ -~\n]{0,60}",
        ) {
            let flags: Vec<String> = lines.iter().map(|(key, value)| format!("{}={value}", KEYS[*key])).collect();
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            for text in ["", &rubbish] {
                if let Ok(config) = read(text, &[], &flags) {
                    let options = config.server_options();
                    let later = std::time::Instant::now() + options.keepalive_interval + options.keepalive_timeout;
                    assert!(later + config.timeouts.stop.0 > std::time::Instant::now());
                    assert!(options.limits.waiting_calls <= 4096 && options.limits.page_entries >= 1);
                    drop((config.tls(), config.warnings(), config.needs_restart(&Config::default())));
                }
            }
        }
    }

    /// SECURITY.md has every limit with its default, and nothing else.
    #[test]
    fn security_md_lists_every_limit() {
        use openwfp::api::bounds;
        use std::collections::BTreeMap;
        let text = include_str!("../../../../SECURITY.md");
        let rows = |heading: &str| -> BTreeMap<String, String> {
            let table = text.split_once(heading).unwrap().1.trim_start().split("\n\n").next().unwrap();
            let row = |line: &str| {
                let cells: Vec<&str> = line.split('|').map(str::trim).collect();
                (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())
            };
            table.lines().filter(|line| line.starts_with("| `")).map(row).collect()
        };
        let example: toml::Table = include_str!("../../../../packaging/wfp.toml").parse().unwrap();
        let default = |key: &str| {
            let (section, name) = key.split_once('.').unwrap();
            match &example[section][name] {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(number) => number.to_string(),
                other => panic!("{other:?}"),
            }
        };
        let listed = rows("| configuration key | default | limits |");
        let is_limit = |key: &&&str| {
            key.starts_with("limits.") || ["timeouts.handshake", "timeouts.transaction"].contains(*key)
        };
        let keys: BTreeMap<String, String> =
            KEYS.iter().filter(is_limit).map(|key| ((*key).to_owned(), default(key))).collect();
        assert_eq!(listed, keys);

        let source = include_str!("../../../openwfp-api/src/bounds.rs");
        let name = |line: &str| line.strip_prefix("pub const ")?.split(':').next().map(str::to_owned);
        let constants: Vec<String> = source.lines().filter_map(name).collect();
        let fixed = rows("| fixed bound | value | limits |");
        assert_eq!(fixed.keys().cloned().collect::<Vec<_>>(), {
            let mut names = constants.clone();
            names.sort();
            names
        });
        for (name, value) in [
            ("NAME", bounds::NAME),
            ("DESCRIPTION", bounds::DESCRIPTION),
            ("TEXT", bounds::TEXT),
            ("BYTES", bounds::BYTES),
            ("LIST", bounds::LIST),
            ("SHORT_LIST", bounds::SHORT_LIST),
            ("FILTER_CONDITIONS", bounds::FILTER_CONDITIONS),
            ("TEMPLATE_CONDITIONS", bounds::TEMPLATE_CONDITIONS),
            ("BATCH_STEPS", bounds::BATCH_STEPS),
            ("QUEUE_LENGTH", bounds::QUEUE_LENGTH),
            ("QUEUED_BYTES", bounds::QUEUED_BYTES),
            ("NET_EVENT_BYTES", bounds::NET_EVENT_BYTES),
            ("FIRST_REQUEST_BYTES", bounds::FIRST_REQUEST_BYTES),
            ("SMALL_REQUEST_BYTES", bounds::SMALL_REQUEST_BYTES),
            ("STREAMS", bounds::STREAMS),
            ("KERNEL_POLICIES", bounds::KERNEL_POLICIES),
            ("FILTER_EFFECTS", bounds::FILTER_EFFECTS),
            ("RESERVED_CONNECTIONS", bounds::RESERVED_CONNECTIONS),
            ("REFUSALS_LOGGED", bounds::REFUSALS_LOGGED),
        ] {
            assert_eq!(fixed[name], value.to_string(), "{name}");
        }
    }
}
