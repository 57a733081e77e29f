//! Compiles the .proto files into Rust, without protoc.

use prost::Message;
use std::error::Error;
use std::path::PathBuf;

/// Messages that `codec` converts directly between bytes and the API's types, without prost's structs.
const OURS: [&str; 26] = [
    "SaContextStepRequest",
    "SaContextBatchRequest",
    "SaContextPage",
    "SaPage",
    "EventPage",
    "ObjectStepRequest",
    "ObjectStepReply",
    "ObjectGetRequest",
    "ObjectCreateEnumRequest",
    "ObjectPage",
    "ClassifyRequest",
    "Verdict",
    "KernelPolicyListRequest",
    "KernelPolicyPage",
    "KernelPolicyGetRequest",
    "KernelPolicyReply",
    "FilterEffectsRequest",
    "FilterEffectsReply",
    "ExplainRequest",
    "Explanation",
    "EngineOptionRequest",
    "NetEventReportRequest",
    "NetEventCreateEnumRequest",
    "NetEventPage",
    "ObjectSecurityRequest",
    "ObjectSecurityReply",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["openwfp/v1/engine.proto"], ["proto"])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    std::fs::write(out.join("openwfp.v1.bin"), files.encode_to_vec())?;

    let mut builder = tonic_prost_build::configure()
        .codec_path("crate::codec::WireCodec")
        // These messages may contain secrets and must never be printed.
        .skip_debug([".openwfp.v1.Key", ".openwfp.v1.KeyModuleState", ".openwfp.v1.KeyMaterial"]);
    for message in OURS {
        builder = builder.extern_path(format!(".openwfp.v1.{message}"), "crate::codec::Raw");
    }
    builder.compile_fds(files)?;
    Ok(())
}
