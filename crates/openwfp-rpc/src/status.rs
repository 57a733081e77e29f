//! Converts errors to gRPC statuses and back. The details of a status carry WFP's code as
//! `openwfp.v1.ErrorDetail`.

use crate::proto::ErrorDetail;
use openwfp_api::Code;
use openwfp_api::Error;
use prost::Message;
use std::error::Error as StdError;
use tonic::Status;

const TYPE_URL: &str = "type.googleapis.com/openwfp.v1.ErrorDetail";

/// `google.rpc.Status`, which gRPC sends in `grpc-status-details-bin`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

pub(crate) fn detail(error: &Error) -> ErrorDetail {
    ErrorDetail {
        code: error.code().0,
        name: error.code().name().unwrap_or_default().to_owned(),
        what: error.what().to_owned(),
        remedy: error.remedy().unwrap_or_default().to_owned(),
    }
}

pub(crate) fn from_detail(detail: ErrorDetail) -> Error {
    let error = Error::new(Code(detail.code), detail.what);
    if detail.remedy.is_empty() { error } else { error.with_remedy(detail.remedy) }
}

pub(crate) fn to_status(error: &Error) -> Status {
    let (code, message) = (grpc_code(error.code()), error.to_string());
    let details = RpcStatus {
        code: code as i32,
        message: message.clone(),
        details: vec![prost_types::Any { type_url: TYPE_URL.into(), value: detail(error).encode_to_vec() }],
    };
    Status::with_details(code, message, details.encode_to_vec().into())
}

/// Returns the gRPC status code for a WFP code, for clients that do not read the details.
fn grpc_code(code: Code) -> tonic::Code {
    match code {
        Code::ERROR_ACCESS_DENIED | Code::RPC_E_ACCESS_DENIED => tonic::Code::PermissionDenied,
        Code::FWP_E_ALREADY_EXISTS => tonic::Code::AlreadyExists,
        Code::FWP_E_TIMEOUT | Code::RPC_E_TIMEOUT => tonic::Code::DeadlineExceeded,
        Code::FWP_E_SESSION_ABORTED | Code::FWP_E_TXN_ABORTED => tonic::Code::Aborted,
        Code::RPC_E_OUT_OF_RESOURCES | Code::RPC_E_SERVERCALL_RETRYLATER => tonic::Code::ResourceExhausted,
        Code::ERROR_NOT_SUPPORTED | Code::ERROR_CALL_NOT_IMPLEMENTED => tonic::Code::Unimplemented,
        Code::ERROR_INTERNAL_ERROR => tonic::Code::Internal,
        Code::RPC_E_CALL_REJECTED => tonic::Code::Unavailable,
        Code::FWP_E_INCOMPATIBLE_SA_STATE
        | Code::FWP_E_INCOMPATIBLE_TXN
        | Code::FWP_E_TXN_IN_PROGRESS
        | Code::FWP_E_NO_TXN_IN_PROGRESS
        | Code::FWP_E_DYNAMIC_SESSION_IN_PROGRESS
        | Code::FWP_E_WRONG_SESSION
        | Code::RPC_E_VERSION_MISMATCH => tonic::Code::FailedPrecondition,
        code if code.name().is_some_and(|name| name.ends_with("NOT_FOUND")) => tonic::Code::NotFound,
        _ => tonic::Code::InvalidArgument,
    }
}

/// Returns the error that a status represents: the daemon's own error or, without details, a failure of
/// the connection.
pub(crate) fn from_status(status: &Status) -> Error {
    if let Ok(rpc) = RpcStatus::decode(status.details())
        && let Some(any) = rpc.details.into_iter().find(|any| any.type_url == TYPE_URL)
        && let Ok(detail) = ErrorDetail::decode(any.value.as_slice())
    {
        return from_detail(detail);
    }
    if let Some(error) = refused_by_peer(status) {
        return error;
    }
    let what = words(status);
    match status.code() {
        tonic::Code::DeadlineExceeded => Error::new(Code::RPC_E_TIMEOUT, what),
        tonic::Code::ResourceExhausted | tonic::Code::OutOfRange => {
            Error::new(Code::RPC_E_OUT_OF_RESOURCES, what)
        }
        tonic::Code::PermissionDenied | tonic::Code::Unauthenticated => {
            Error::new(Code::RPC_E_ACCESS_DENIED, what)
        }
        tonic::Code::Unimplemented => Error::new(Code::ERROR_CALL_NOT_IMPLEMENTED, what)
            .with_remedy("The daemon and this client differ in version. Install the same version of OpenWFP on both machines."),
        tonic::Code::Internal | tonic::Code::DataLoss if source(status).is_none() => {
            Error::new(Code::RPC_E_INVALID_DATAPACKET, what)
        }
        _ => Error::new(Code::RPC_E_DISCONNECTED, format!("the connection to the engine broke: {what}")),
    }
}

fn source(status: &Status) -> Option<&(dyn StdError + 'static)> {
    status.source()
}

/// Returns the status's message followed by those of its causes.
fn words(status: &Status) -> String {
    let mut words = status.message().to_owned();
    let mut cause = source(status);
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words = if words.is_empty() { more } else { format!("{words}: {more}") };
        }
        cause = error.source();
    }
    if words.is_empty() { status.code().description().to_owned() } else { words }
}

/// Searches the causes of an error for a TLS failure: an alert from the peer, or a certificate that
/// this side refused.
pub(crate) fn refused_by_peer(error: &(dyn StdError + 'static)) -> Option<Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = error
            .downcast_ref::<rustls::Error>()
            .or_else(|| inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()));
        if let Some(tls) = tls {
            return Some(crate::tls::refusal(tls));
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_as_it_went_with_its_words() {
        for entry in Code::all() {
            let plain = Error::new(entry.code, "what was wrong");
            for error in [plain.clone(), plain.with_remedy("what to do")] {
                assert_eq!(from_status(&to_status(&error)), error);
            }
        }
        assert_eq!(from_status(&to_status(&Error::new(Code(0x1234), "x"))).code(), Code(0x1234));
    }

    #[test]
    fn a_status_without_details_is_what_became_of_the_connection() {
        for (status, code) in [
            (Status::deadline_exceeded("late"), Code::RPC_E_TIMEOUT),
            (Status::unavailable("gone"), Code::RPC_E_DISCONNECTED),
            (Status::unimplemented("what"), Code::ERROR_CALL_NOT_IMPLEMENTED),
            (Status::internal("garbage"), Code::RPC_E_INVALID_DATAPACKET),
            (Status::out_of_range("too long"), Code::RPC_E_OUT_OF_RESOURCES),
            (Status::unauthenticated("who"), Code::RPC_E_ACCESS_DENIED),
        ] {
            assert_eq!(from_status(&status).code(), code);
        }
    }
}
