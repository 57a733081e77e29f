//! Lists the SA contexts of this machine's kernel: the example of README.md. Run it as root.

use openwfp::api::{EnumOptions, Result};

fn main() -> Result {
    let session = openwfp::open(&"xfrm:".parse()?)?;
    for context in session.sa_contexts(&EnumOptions::default())? {
        let context = context?;
        println!("{}: {}", context.id, context.traffic.endpoints.remote());
    }
    Ok(())
}
