//! `include/raft.h` is what cbindgen makes of the source. `UPDATE_HEADER=1 cargo test -p raft-ffi --test
//! header` writes it.

use std::path::Path;

const PREAMBLE: &str = "\
/*
 * Raft you can embed: a replicated key-value store, as a node in this process or as a client of nodes
 * elsewhere.
 *
 * Written by cbindgen from raft-ffi/src; do not edit.
 *
 * Every call answers with a raft_status. Where that is not RAFT_OK, raft_last_error_message() says why in
 * words, and every out-parameter has a safe value: NULL, 0 or false.
 *
 * What you are given through an out-parameter is yours, and is freed by the one function its type names:
 * raft_node_free(), raft_client_free(), raft_value_free(), raft_keys_free(), raft_string_free() for a char *,
 * and the _free() of each configuration. A const char * that a function returns is never yours: it belongs to
 * the library, or to the value or list it was asked of. Nothing you pass in is kept: it may be freed or
 * changed once the call is back. Freeing NULL does nothing.
 *
 * Every function may be called from any thread at any time, but one: a handle is freed once, when no other
 * call uses it any more. Calls block the thread that makes them, until their timeout at the latest. After
 * fork() a child opens handles of its own; those of its parent answer RAFT_FORKED there.
 *
 * Texts are UTF-8. A key with a NUL byte in it, which other doors allow, can be listed but not named from
 * here.
 *
 * The library installs no signal handler, changes no signal's disposition, and never ends the process (memory
 * that has run out does). SIGPIPE may be left at its default.
 *
 * Debian's libraft-dev is another project with the same file names (raft.h, libraft.so, raft.pc) and none of
 * the same symbols: install one of the two under a prefix of its own.
 */";

fn generated() -> String {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = cbindgen::Config::from_file(package.join("cbindgen.toml")).expect("a configuration");
    config.header = Some(PREAMBLE.to_owned());
    let bindings = cbindgen::Builder::new()
        .with_crate(package)
        .with_config(config)
        .generate()
        .expect("the source parses");
    let mut text = Vec::new();
    bindings.write(&mut text);
    // Rustdoc's heading is C's paragraph.
    String::from_utf8(text).expect("UTF-8").replace(" * # Safety\n * ", " * Pointers: ")
}

#[test]
fn the_header_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include/raft.h");
    let wanted = generated();
    if std::env::var_os("UPDATE_HEADER").is_some() {
        std::fs::write(&path, wanted).unwrap();
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let line = wanted.lines().zip(there.lines()).position(|(wanted, there)| wanted != there);
    assert!(
        there == wanted,
        "include/raft.h is not what the source says (first difference: line {}): run ./fix",
        line.map_or(1 + there.lines().count().min(wanted.lines().count()), |line| line + 1)
    );
}
