//! The format, byte for byte. If this test has to change, so has the version, and old logs must still be
//! read.

use alloc::format;
use alloc::string::String;

use super::{entry, identity, node};
use crate::disk::DiskOp;
use crate::log::{Identity, LogOptions, Record, create};
use crate::types::{ClusterId, HardState, Incarnation, LogIndex, Term};

fn hex(bytes: &[u8]) -> String {
    bytes.chunks(16).map(|line| line.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n").collect()
}

#[test]
fn segment_header_and_frame() {
    let (mut writer, ops) = create(&identity(), LogOptions { segment_size: 4096 });
    let DiskOp::Prepare { file, size: 4096, head } = &ops[0] else { panic!("{ops:?}") };
    assert_eq!(file, "log-00000000000000000001");
    assert_eq!(hex(head), GOLDEN_HEADER);

    let vote = HardState { term: Term(2), voted_for: Some(node("node_1")) };
    let peer = Record::Peer { node_id: node("node_2"), incarnation: Incarnation(300) };
    let hint = Record::CommitHint(LogIndex(1));
    let (frame, _) = writer.append(&[Record::HardState(vote), peer, Record::Admitted, hint]);
    writer.note_durable(frame);
    let (_, ops) = writer.append(&[entry(1, 2, &b"hello"[..])]);
    let [DiskOp::Write { file, offset: 152, data }] = &ops[..] else { panic!("{ops:?}") };
    assert_eq!(file, "log-00000000000000000001");
    assert_eq!(hex(data), GOLDEN_FRAME);
}

#[test]
fn identity_file() {
    let mut mine = Identity::new(node("node_1"), Incarnation(0xABCD));
    assert_eq!(Identity::decode(GOLDEN_IDENTITY.as_bytes()), Ok(mine.clone()));
    assert_eq!(mine.encode(), GOLDEN_IDENTITY);
    mine.cluster_id = Some(ClusterId(7));
    assert_eq!(Identity::decode(mine.encode().as_bytes()), Ok(mine.clone()));
    let DiskOp::Replace { file, content } = mine.store() else { panic!("not a replacement") };
    assert_eq!((file.as_str(), content), ("identity", mine.encode().into_bytes().into()));
    assert!(Identity::decode(&[0xFF; 100]).is_err());
}

const GOLDEN_HEADER: &str = "\
524146544c4f470a01000000e73ea5fb
0100000000000000eeffc00000000000
00100000000000000000000000000000
00000000000000000000000000000000
";

const GOLDEN_FRAME: &str = "\
5246726d39cea5e70c00000000000000
315c19bb3987feee0200000000000000
01000000000000000101010202000568
656c6c6f00000000
";

const GOLDEN_IDENTITY: &str = "\
raft data directory: made by the server, not to be edited or copied to another one
format_version = 1
node_id = node_1
cluster_id = none
incarnation = 000000000000abcd
checksum = 3800a2d6
";
