//! Compiles the protocol: messages and service for gRPC, and the mapping of the messages to JSON.

use std::error::Error;

use prost::Message as _;

const PROTO: &str = "proto/rls.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let described = protox::compile([PROTO], ["proto"])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_fds(described.clone())?;
    pbjson_build::Builder::new()
        .register_descriptors(&described.encode_to_vec())?
        .build(&[".envoy.service.ratelimit.v3"])?;
    Ok(())
}
