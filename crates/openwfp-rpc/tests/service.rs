//! The service as others meet it: its description, its promises of compatibility, health and reflection.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

mod rig;

use openwfp_api::Operation;
use openwfp_engine::Engine;
use openwfp_rpc::Server;
use openwfp_rpc::ServerOptions;
use openwfp_rpc::proto::DESCRIPTORS;
use prost::Message;
use prost_types::DescriptorProto;
use prost_types::FileDescriptorSet;
use prost_types::MethodDescriptorProto;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

fn files() -> FileDescriptorSet {
    FileDescriptorSet::decode(DESCRIPTORS).unwrap()
}

fn of_message(lines: &mut BTreeSet<String>, outer: &str, message: &DescriptorProto) {
    let name = format!("{outer}.{}", message.name());
    for field in &message.field {
        let mut line = format!("{name}.{} = {} ", field.name(), field.number());
        write!(line, "{:?} {:?} {}", field.label(), field.r#type(), field.type_name()).unwrap();
        if let Some(place) = field.oneof_index {
            let oneof = &message.oneof_decl[usize::try_from(place).unwrap()];
            write!(line, " in {}", oneof.name()).unwrap();
        }
        lines.insert(line);
    }
    lines.insert(name.clone());
    message.nested_type.iter().for_each(|nested| of_message(lines, &name, nested));
}

/// Everything that a client may rely on, a line each.
fn promises() -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for file in files().file.iter().filter(|file| file.package() == "openwfp.v1") {
        file.message_type.iter().for_each(|message| of_message(&mut lines, "openwfp.v1", message));
        for enumeration in &file.enum_type {
            for value in &enumeration.value {
                lines.insert(format!(
                    "openwfp.v1.{} {} = {}",
                    enumeration.name(),
                    value.name(),
                    value.number()
                ));
            }
        }
        for service in &file.service {
            for method in &service.method {
                let stream = if method.server_streaming() { "stream " } else { "" };
                let (input, output) = (method.input_type(), method.output_type());
                let name = format!("openwfp.v1.{}/{}", service.name(), method.name());
                lines.insert(format!("{name} {input} -> {stream}{output}"));
            }
        }
    }
    lines
}

/// `proto/openwfp.v1.txt` holds what was promised: lines may be added to it, none may go or change. Written by
/// `OPENWFP_WRITE_PROMISES=1 cargo test -p openwfp-rpc --test service`.
#[test]
fn what_was_promised_is_kept() {
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/openwfp/v1/object.proto");
    if std::env::var_os("OPENWFP_WRITE_PROMISES").is_some() {
        std::fs::write(&objects, openwfp_rpc::codec::object_proto()).unwrap();
    }
    let written = std::fs::read_to_string(&objects).unwrap();
    assert!(written == openwfp_rpc::codec::object_proto(), "object.proto is to be written anew");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/openwfp.v1.txt");
    let now = promises();
    if std::env::var_os("OPENWFP_WRITE_PROMISES").is_some() {
        let text: String = now.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&path, text).unwrap();
    }
    let promised: BTreeSet<String> =
        std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    let broken: Vec<_> = promised.difference(&now).collect();
    assert!(broken.is_empty(), "a breaking change belongs into openwfp.v2: {broken:#?}");
    let new: Vec<_> = now.difference(&promised).collect();
    assert!(new.is_empty(), "what is new is to be promised in {}: {new:#?}", path.display());
}

#[test]
fn every_message_field_value_and_call_is_documented() {
    for name in ["sa.proto", "engine.proto", "object.proto"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/openwfp/v1").join(name);
        let text = std::fs::read_to_string(path).unwrap();
        let mut before = "";
        let mut declared = 0;
        for line in text.lines().map(str::trim) {
            let is_declaration =
                ["message ", "enum ", "service ", "oneof ", "rpc "].iter().any(|word| line.starts_with(word))
                    || line.contains(" = ") && line.ends_with(';') && !line.starts_with("syntax");
            if is_declaration {
                declared += 1;
                assert!(before.starts_with("// ") && before.len() > 5, "{name}: {line}: no comment");
            }
            before = line;
        }
        assert!(declared > 100, "{name}: {declared} declarations were found");
    }
}

/// Every call of the API has a call of the service, which says so by WFP's name.
#[test]
fn every_operation_has_its_call() {
    let files = files();
    let file = files.file.iter().find(|file| file.name() == "openwfp/v1/engine.proto").unwrap();
    let comments: String = file
        .source_code_info
        .as_ref()
        .unwrap()
        .location
        .iter()
        .map(|location| location.leading_comments().to_owned() + "\n")
        .collect();
    let calls: Vec<&str> = file.service[0].method.iter().map(MethodDescriptorProto::name).collect();
    // "(net event)", a call that WFP lacks, is NetEventReport here.
    let ours = |name: &str| {
        let words = name.trim_matches(['(', ')']).split(' ');
        let camel: String = words.map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        name.starts_with('(') && calls.iter().any(|call| call.starts_with(&camel))
    };
    for operation in Operation::ALL {
        let name = operation.rules().wfp_name;
        let found = comments.contains(name)
            || ours(name)
            || name.ends_with("DestroyEnumHandle") && comments.contains("...DestroyEnumHandle0")
            || *operation == Operation::KeyRead && comments.contains("READ_KEYS")
            // Steps are one call, from IPsecSaContextCreate1 to IPsecSaContextDeleteById0.
            || comments.contains(&format!("{name}0")) || comments.contains(&format!("{name}1"));
        assert!(found, "{name} has no call in engine.proto");
    }
}

#[test]
fn health_and_reflection_answer_as_their_standards_say() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let server = Server::start(Arc::new(Engine::new()), ServerOptions::default()).unwrap();
    let root = openwfp_api::Principal::user(openwfp_api::Sid::ROOT);
    let address = server.listen_plain("127.0.0.1:0".parse().unwrap(), &root).unwrap();
    let url = format!("http://{address}");
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let channel = tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap();
        let mut health = HealthClient::new(channel.clone());
        for service in ["", "openwfp.v1.FilterEngine"] {
            let request = HealthCheckRequest { service: service.into() };
            let status = health.check(request).await.unwrap().into_inner().status;
            assert_eq!(status, 1, "SERVING");
        }
        let mut reflection = ServerReflectionClient::new(channel);
        let ask = |message_request| ServerReflectionRequest {
            host: String::new(),
            message_request: Some(message_request),
        };
        let questions = [
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol("openwfp.v1.SaContext".into())),
        ];
        let answers = reflection.server_reflection_info(tokio_stream::iter(questions)).await.unwrap();
        let mut answers = answers.into_inner();
        let mut next = async || answers.message().await.unwrap().unwrap().message_response.unwrap();
        let MessageResponse::ListServicesResponse(services) = next().await else { panic!() };
        let names: Vec<_> = services.service.iter().map(|service| service.name.as_str()).collect();
        assert!(names.contains(&"openwfp.v1.FilterEngine"), "{names:?}");
        let MessageResponse::FileDescriptorResponse(file) = next().await else { panic!() };
        assert!(!file.file_descriptor_proto.is_empty());
    });
}
