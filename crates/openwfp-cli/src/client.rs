//! The engine that a command uses: flags before or after the command's name, then environment variables, then the
//! default.

use crate::args::Args;
use crate::args::CertificateArgs;
use crate::args::ClientArgs;
use crate::args::Command;
use crate::failure::Failure;
use clap::CommandFactory;
use clap::error::ErrorKind;
use openwfp::Engine;
use openwfp::EngineUrl;
use openwfp::NamedUrl;
use openwfp::XfrmTarget;
use openwfp::api::Code;
use openwfp::api::Error;
use openwfp::rpc::ClientOptions;
use openwfp::rpc::tls::ClientTls;
use std::path::PathBuf;

/// The value of `OPENWFP_NAME`, or else of `WFP_NAME`, as the variables were called before, with the variable's name. An
/// empty variable counts as unset.
pub(crate) fn variable(name: &str) -> Option<(String, String)> {
    [format!("OPENWFP_{name}"), format!("WFP_{name}")].into_iter().find_map(|variable| {
        let value = std::env::var(&variable).ok().filter(|value| !value.is_empty())?;
        Some((variable, value))
    })
}

/// Ends the program if a flag before the command's name means nothing to the command.
pub(crate) fn reject_meaningless_flags(args: &Args) {
    let ClientArgs { engine, certificate, output: _ } = &args.client;
    let (takes_engine, takes_certificate, takes_adopt) = match &args.command {
        Command::Explain(_) => (false, false, false),
        Command::Serve(_) => (true, false, true),
        Command::Flush(_) => (true, false, false),
        Command::Sa(command) => (true, true, command.changes().is_some()),
        _ => (true, true, false),
    };
    let CertificateArgs { cert, key, ca } = certificate;
    let flags = [
        ("--engine", !engine.is_empty(), takes_engine),
        ("--cert", cert.is_some(), takes_certificate),
        ("--key", key.is_some(), takes_certificate),
        ("--ca", ca.is_some(), takes_certificate),
        ("--adopt", args.adopt, takes_adopt),
    ];
    if let Some((flag, ..)) = flags.iter().find(|(_, given, taken)| *given && !taken) {
        usage(format!("{flag} has no meaning for this command. Remove it."));
    }
}

/// Ends the program as for every command line that is wrong.
fn usage(what: String) -> ! {
    Args::command().error(ErrorKind::ArgumentConflict, what).exit()
}

/// Returns the engines that flags or a variable name, if any.
pub(crate) fn engines(args: &Args, own: &[NamedUrl]) -> Result<Vec<NamedUrl>, Error> {
    let mut engines = [&args.client.engine[..], own].concat();
    if engines.is_empty()
        && let Some((name, value)) = variable("ENGINE")
    {
        engines.push(value.parse().map_err(|error: Error| error.within(&name))?);
    }
    Ok(engines)
}

/// Returns the URL of the one engine that a command uses.
pub(crate) fn url(
    args: &Args,
    own: &[NamedUrl],
    default: impl FnOnce() -> EngineUrl,
) -> Result<EngineUrl, Error> {
    match &engines(args, own)?[..] {
        [named] => Ok(named.url.clone()),
        [] => Ok(default()),
        several => {
            usage(format!("--engine is given {} times. Only `wfp serve` takes several.", several.len()))
        }
    }
}

/// Returns the engine that a client's command uses.
pub(crate) fn engine(args: &Args, own: &ClientArgs, adopt: bool) -> Result<(EngineUrl, Engine), Failure> {
    open(args, own, adopt, Engine::with)
}

/// Returns the engine that a client's command reads once.
pub(crate) fn engine_to_read(args: &Args, own: &ClientArgs) -> Result<(EngineUrl, Engine), Failure> {
    open(args, own, false, Engine::once)
}

fn open(
    args: &Args,
    own: &ClientArgs,
    adopt: bool,
    engine: impl FnOnce(&EngineUrl, ClientOptions) -> Result<Engine, Error>,
) -> Result<(EngineUrl, Engine), Failure> {
    let (url, options) = options(args, own, adopt)?;
    let engine = engine(&url, options)?;
    Ok((url, engine))
}

/// Returns the URL of the engine that a client's command uses, and the options for a daemon.
pub(crate) fn options(
    args: &Args,
    own: &ClientArgs,
    adopt: bool,
) -> Result<(EngineUrl, ClientOptions), Failure> {
    let url = url(args, &own.engine, || EngineUrl::of_daemon().unwrap_or(EngineUrl::XFRM))?;
    let url = if args.adopt || adopt { adopting(url)? } else { url };
    let tls = client_tls(&args.client.certificate, &own.certificate)?;
    Ok((url, ClientOptions { tls, ..ClientOptions::default() }))
}

/// Returns the engine of a kernel with `adopt`, which also changes SAs that other programs installed.
///
/// # Errors
/// `FWP_E_INVALID_PARAMETER` for other engines, on which `--adopt` would have no effect.
pub(crate) fn adopting(url: EngineUrl) -> Result<EngineUrl, Error> {
    match url {
        EngineUrl::Xfrm(target) => Ok(EngineUrl::Xfrm(XfrmTarget { adopt: true, ..target })),
        EngineUrl::Remote { .. } => {
            let what = format!("--adopt has no effect on {url}: a daemon decides for all of its clients");
            Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what)
                .with_remedy("Start the daemon with --adopt, or use --engine xfrm:"))
        }
        _ => {
            let what = format!("--adopt has no effect on {url}, which is not a kernel's engine");
            Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what).with_remedy("Remove it."))
        }
    }
}

fn client_tls(top: &CertificateArgs, own: &CertificateArgs) -> Result<Option<ClientTls>, Error> {
    let file = |top: &Option<PathBuf>, own: &Option<PathBuf>, name| {
        own.clone().or(top.clone()).or_else(|| variable(name).map(|(_, value)| value.into()))
    };
    let cert = file(&top.cert, &own.cert, "CERT");
    let key = file(&top.key, &own.key, "KEY");
    let ca = file(&top.ca, &own.ca, "CA");
    match (cert, key, ca) {
        (Some(cert), Some(key), Some(ca)) => Ok(Some(ClientTls { ca, cert, key })),
        (None, None, None) => Ok(None),
        (cert, key, ca) => {
            let missing: Vec<&str> = [("--cert", cert), ("--key", key), ("--ca", ca)]
                .into_iter()
                .filter_map(|(flag, file)| file.is_none().then_some(flag))
                .collect();
            let what =
                format!("an https engine needs --cert, --key and --ca; missing: {}", missing.join(", "));
            Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what))
        }
    }
}
