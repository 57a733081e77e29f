//! The URLs of engines.

use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_rpc::DEFAULT_PORT;
use openwfp_rpc::Target;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;

/// The default socket of the daemon.
pub const DAEMON_SOCKET: &str = "/run/openwfp/engine.sock";

/// The URL of an engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EngineUrl {
    /// `capture:DIR`: the SAs of a kernel, read from a capture directory.
    Capture(PathBuf),
    /// `memory:`: an engine in this process that holds only the SAs added to it.
    Memory,
    /// `xfrm:`, `xfrm:netns=NAME`, `xfrm:pid=N`: the SAs of the kernel in a network namespace. With
    /// `adopt`, for example `xfrm:adopt` or `xfrm:netns=NAME,adopt`, the engine may change all of them.
    Xfrm(XfrmTarget),
    /// `unix:PATH`, `https://HOST[:PORT]`, `http://HOST[:PORT]`: an engine of a daemon. An appended `#NAME`
    /// selects one of several engines.
    Remote {
        /// The daemon's address.
        target: Target,
        /// The engine's name; empty selects the daemon's first engine.
        engine: String,
    },
}

/// The kernel that an `xfrm:` URL selects, and what the engine may change in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct XfrmTarget {
    /// The network namespace.
    pub namespace: XfrmNamespace,
    /// Whether the engine may also change and remove SAs that other programs installed; `adopt` in the URL.
    pub adopt: bool,
}

/// A network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum XfrmNamespace {
    /// The network namespace of this process.
    #[default]
    Own,
    /// A named network namespace, as created by `ip netns add`.
    Named(String),
    /// The network namespace of another process, by process ID.
    Process(u32),
}

impl EngineUrl {
    /// The kernel of this process's network namespace, without `adopt`.
    pub const XFRM: EngineUrl = EngineUrl::Xfrm(XfrmTarget { namespace: XfrmNamespace::Own, adopt: false });

    /// Returns the URL of this machine's daemon if the socket [`DAEMON_SOCKET`] exists.
    pub fn of_daemon() -> Option<EngineUrl> {
        let path = Path::new(DAEMON_SOCKET);
        path.exists().then(|| EngineUrl::remote(Target::Unix(path.into())))
    }

    fn remote(target: Target) -> EngineUrl {
        EngineUrl::Remote { target, engine: String::new() }
    }

    /// Returns the URL of the engine for a server name: `HOST` or `HOST:PORT` (both over mutual TLS, with
    /// an optional `#NAME`), or a URL. The Windows form of a host, with two leading backslashes, is also
    /// accepted.
    ///
    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` if the name is not valid.
    pub fn of_server(name: &str) -> Result<EngineUrl, Error> {
        let name = name.trim_start_matches('\\');
        let is_url = ["unix:", "https:", "http:", "capture:", "memory:", "xfrm:"]
            .iter()
            .any(|scheme| name.starts_with(scheme));
        if is_url {
            return name.parse();
        }
        let (host, engine) = name.split_once('#').unwrap_or((name, ""));
        let (host, port) = authority(host)?;
        match engine {
            "" => Ok(tls(host, port)),
            engine => format!("{}#{engine}", tls(host, port)).parse(),
        }
    }
}

fn tls(host: String, port: u16) -> EngineUrl {
    EngineUrl::remote(Target::Tls { host, port })
}

fn bad(what: String) -> Error {
    Error::new(Code::FWP_E_INVALID_PARAMETER, what).with_remedy(
        "Use unix:PATH or https://HOST[:PORT] (a daemon), xfrm: (this machine's kernel; xfrm:netns=NAME or \
         xfrm:pid=NUMBER for another network namespace), capture:DIR (a capture) or memory: (an empty engine in this \
         process).",
    )
}

/// Parses `HOST`, `HOST:PORT`, `[ADDRESS]`, `[ADDRESS]:PORT` or a bare IPv6 address.
fn authority(text: &str) -> Result<(String, u16), Error> {
    let wrong = || bad(format!("\"{text}\" is not HOST or HOST:PORT"));
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
        (host, rest.strip_prefix(':').or(rest.is_empty().then_some("")).ok_or_else(wrong)?)
    } else if text.parse::<std::net::Ipv6Addr>().is_ok() {
        (text, "")
    } else {
        text.split_once(':').unwrap_or((text, ""))
    };
    let is_host = !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || "-._:%".contains(c));
    if !is_host {
        return Err(wrong());
    }
    let port = if port.is_empty() { DEFAULT_PORT } else { port.parse().map_err(|_| wrong())? };
    Ok((host.to_owned(), port))
}

impl FromStr for EngineUrl {
    type Err = Error;

    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` for an invalid URL.
    fn from_str(text: &str) -> Result<EngineUrl, Error> {
        let is_remote = ["unix:", "https:", "http:"].iter().any(|scheme| text.starts_with(scheme));
        if let Some((before, name)) = text.rsplit_once('#').filter(|_| is_remote) {
            if !is_name(name) {
                return Err(bad(format!(
                    "\"{name}\" is not an engine name: use letters, digits, '.', '-' and '_'"
                )));
            }
            return match before.parse()? {
                EngineUrl::Remote { target, .. } => Ok(EngineUrl::Remote { target, engine: name.to_owned() }),
                other => Ok(other),
            };
        }
        match text.split_once(':') {
            Some((scheme @ ("capture" | "unix"), "")) => Err(bad(format!("missing path in \"{scheme}:\""))),
            Some(("capture", directory)) => Ok(EngineUrl::Capture(directory.into())),
            Some(("unix", path)) => Ok(EngineUrl::remote(Target::Unix(path.into()))),
            Some(("memory", "")) => Ok(EngineUrl::Memory),
            Some(("xfrm", rest)) => xfrm(rest).map(EngineUrl::Xfrm),
            Some(("memory", rest)) => {
                Err(bad(format!("nothing may follow \"memory:\", but found \"{rest}\"")))
            }
            Some((scheme @ ("https" | "http"), rest)) => {
                let rest = rest.strip_prefix("//").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
                let (host, port) = authority(rest.unwrap_or_default())?;
                Ok(match scheme {
                    "https" => tls(host, port),
                    _ => EngineUrl::remote(Target::Plain { host, port }),
                })
            }
            _ => Err(bad(format!("\"{text}\" is not an engine URL"))),
        }
    }
}

/// Returns whether an engine may have this name.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
}

/// Parses the part after `xfrm:`: a namespace and `adopt`, separated by commas.
fn xfrm(text: &str) -> Result<XfrmTarget, Error> {
    let mut target = XfrmTarget::default();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        match part.split_once('=') {
            Some(("netns", name))
                if !name.is_empty() && name != "." && name != ".." && !name.contains('/') =>
            {
                target.namespace = XfrmNamespace::Named(name.to_owned());
            }
            Some(("pid", id)) if id.parse::<u32>().is_ok_and(|id| id != 0) => {
                target.namespace = XfrmNamespace::Process(id.parse().unwrap_or_default());
            }
            None if part == "adopt" => target.adopt = true,
            _ => {
                return Err(bad(format!(
                    "invalid option \"{part}\" of \"xfrm:\": expected netns=NAME, pid=NUMBER or adopt"
                )));
            }
        }
    }
    Ok(target)
}

impl fmt::Display for XfrmTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let adopt = if self.adopt { "adopt" } else { "" };
        let comma = if self.adopt && self.namespace != XfrmNamespace::Own { "," } else { "" };
        match &self.namespace {
            XfrmNamespace::Own => write!(f, "xfrm:{adopt}"),
            XfrmNamespace::Named(name) => write!(f, "xfrm:netns={name}{comma}{adopt}"),
            XfrmNamespace::Process(id) => write!(f, "xfrm:pid={id}{comma}{adopt}"),
        }
    }
}

impl fmt::Display for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineUrl::Capture(directory) => write!(f, "capture:{}", directory.display()),
            EngineUrl::Memory => f.write_str("memory:"),
            EngineUrl::Xfrm(target) => target.fmt(f),
            EngineUrl::Remote { target, engine } if engine.is_empty() => target.fmt(f),
            EngineUrl::Remote { target, engine } => write!(f, "{target}#{engine}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_they_are_written() {
        for text in [
            "capture:samples/strongswan-16",
            "capture:/var/a:b",
            "memory:",
            "xfrm:",
            "xfrm:adopt",
            "xfrm:netns=blue",
            "xfrm:netns=blue,adopt",
            "xfrm:pid=4711",
            "unix:/run/openwfp/engine.sock",
            "unix:/run/openwfp/engine.sock#blue",
            "https://gateway:8320#blue",
            "https://gateway.example.org:8320",
            "https://[2001:db8::1]:99",
            "http://127.0.0.1:8321",
        ] {
            assert_eq!(text.parse::<EngineUrl>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_server_is_a_host_with_or_without_a_port_or_a_url() {
        for (name, url) in [
            ("gateway", "https://gateway:8320"),
            ("\\\\gateway", "https://gateway:8320"),
            ("gateway.example.org:9000", "https://gateway.example.org:9000"),
            ("192.0.2.1", "https://192.0.2.1:8320"),
            ("2001:db8::1", "https://[2001:db8::1]:8320"),
            ("[2001:db8::1]:7", "https://[2001:db8::1]:7"),
            ("unix:/tmp/engine.sock", "unix:/tmp/engine.sock"),
            ("https://gateway", "https://gateway:8320"),
            ("gateway:9000#blue", "https://gateway:9000#blue"),
        ] {
            assert_eq!(EngineUrl::of_server(name).unwrap().to_string(), url);
        }
        for name in ["", "a b", "host:port", "host:70000", "[::1", "[::1]x", "ftp://host"] {
            assert_eq!(
                EngineUrl::of_server(name).unwrap_err().code(),
                Code::FWP_E_INVALID_PARAMETER,
                "{name}"
            );
        }
    }

    #[test]
    fn what_names_no_engine_is_refused_with_what_does() {
        for text in [
            "",
            "capture:",
            "capture",
            "xfrm",
            "xfrm:eth0",
            "xfrm:netns=",
            "xfrm:netns=../etc",
            "xfrm:pid=0",
            "xfrm:pid=me",
            "xfrm:,adopt",
            "memory:1",
            "unix:",
            "https:",
            "https://",
            "https://a b",
            "http:/host",
            "https://host#",
            "https://host#a b",
            "samples/strongswan-16",
        ] {
            let error = text.parse::<EngineUrl>().unwrap_err();
            assert_eq!(error.code(), Code::FWP_E_INVALID_PARAMETER, "{text}");
            assert!(error.remedy().unwrap().contains("capture:DIR"));
        }
    }
}
