//! Answers clients that do not speak TLS to the TLS port, in words that they can show.

use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const WHY: &str = "this port speaks TLS only: connect with TLS and a client certificate";

/// Returns whether the client begins with a TLS handshake (RFC 8446 §5.1). Waits for its first byte.
pub(crate) async fn speaks_tls(stream: &TcpStream) -> std::io::Result<bool> {
    let mut first = [0];
    Ok(stream.peek(&mut first).await? == 0 || first == [22])
}

/// Answers a gRPC or an HTTP client; closes the connection in any case.
pub(crate) async fn answer(mut stream: TcpStream, at_most: Duration) {
    let answering = async {
        let mut read = vec![0; 4096];
        let mut length = stream.read(&mut read).await?;
        if !read[..length].starts_with(b"PRI") {
            let text = format!(
                "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{WHY}\n",
                WHY.len() + 1
            );
            stream.write_all(text.as_bytes()).await?;
            return stream.shutdown().await;
        }
        // SETTINGS; then the answer to the first call, for which clients wait: what comes before that, they retry.
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
        loop {
            if let Some(id) = first_call(&read[..length]) {
                stream.write_all(&unavailable(id)).await?;
                return stream.shutdown().await;
            }
            if length == read.len() {
                return Ok(());
            }
            match stream.read(&mut read[length..]).await? {
                0 => return Ok(()),
                more => length += more,
            }
        }
    };
    // Nothing can be done if the client does not listen.
    drop(tokio::time::timeout(at_most, answering).await);
}

/// Returns the stream of the first HEADERS frame after the preface, once it has arrived.
fn first_call(bytes: &[u8]) -> Option<[u8; 4]> {
    let mut rest = bytes.get(24..)?;
    loop {
        let (header, content) = rest.split_at_checked(9)?;
        if header[3] == 1 {
            return header[5..9].try_into().ok();
        }
        let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
        rest = content.get(length..)?;
    }
}

/// Returns a whole gRPC answer with the status UNAVAILABLE, as one HEADERS frame.
fn unavailable(stream: [u8; 4]) -> Vec<u8> {
    // :status 200 is entry 8 of the static table; the others are literals with a new name (RFC 7541 §6.1, §6.2.2).
    let mut block = vec![0x88];
    let message = WHY.replace('%', "%25");
    for (name, value) in
        [("content-type", "application/grpc"), ("grpc-status", "14"), ("grpc-message", message.as_str())]
    {
        block.push(0);
        for text in [name, value] {
            #[allow(clippy::cast_possible_truncation, reason = "shorter than 127")]
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    #[allow(clippy::cast_possible_truncation, reason = "shorter than 256")]
    let mut frame = vec![0, 0, block.len() as u8, 1, 0x5];
    frame.extend_from_slice(&stream);
    frame.extend_from_slice(&block);
    frame
}

const _: () = assert!(WHY.len() < 127);
