//! A snapshot's bytes: there and back, whatever the split, and no damage goes unnoticed.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use super::format::{CHUNK_BYTES, LONGEST_HEADER, chunk_crc, u32_at};
use super::{Header, Piece, Reader, SnapshotError, Writer};
use crate::consensus::Configuration;
use crate::disk::{FileName, SnapshotFile};
use crate::types::{ClusterId, LogIndex, NodeId, StateHash, Term};

fn header() -> Header {
    Header {
        cluster_id: ClusterId(0x0102_0304_0506_0708),
        index: LogIndex(300),
        term: Term(7),
        state_hash: StateHash(0xABCD),
        configuration_index: LogIndex(1),
        configuration: Configuration::new(["a", "b"].map(|id| NodeId::new(id).unwrap())),
    }
}

fn file_name() -> FileName {
    SnapshotFile::Whole(LogIndex(300)).file_name()
}

/// Bytes that do not compress, always the same.
fn noise(length: usize) -> Bytes {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect::<Vec<u8>>().into()
}

fn machine(bytes: impl Into<Bytes>) -> Piece {
    Piece::Machine(bytes.into())
}

fn sessions(bytes: &'static [u8]) -> Piece {
    Piece::Sessions(Bytes::from_static(bytes))
}

fn written(pieces: &[Piece]) -> Vec<u8> {
    let mut writer = Writer::new(&header());
    pieces.iter().for_each(|piece| writer.piece(piece));
    writer.finish();
    let bytes = writer.take();
    assert_eq!((writer.taken(), writer.ready()), (bytes.len() as u64, 0));
    bytes.to_vec()
}

/// Reads a file that is handed in so many bytes at a time.
fn read(bytes: &[u8], at_a_time: usize) -> Result<(Header, Vec<Piece>), SnapshotError> {
    let mut reader = Reader::new(file_name());
    let mut pieces = vec![];
    for part in bytes.chunks(at_a_time) {
        reader.feed(Bytes::copy_from_slice(part));
        while let Some(piece) = reader.next_piece()? {
            pieces.push(piece);
        }
    }
    reader.finish().map(|header| (header, pieces))
}

fn several() -> Vec<Piece> {
    vec![
        sessions(b"who asked"),
        machine(vec![5; 3 * CHUNK_BYTES]),
        machine(Bytes::new()),
        machine(noise(2 * CHUNK_BYTES - 50)),
        machine(noise(7)),
    ]
}

#[test]
fn what_was_written_is_read() {
    let lengths = [0, 1, CHUNK_BYTES - 5, CHUNK_BYTES - 4, CHUNK_BYTES, 3 * CHUNK_BYTES - 5];
    for length in lengths {
        for piece in [machine(noise(length)), machine(vec![0; length])] {
            let file = written(core::slice::from_ref(&piece));
            assert_eq!(read(&file, usize::MAX), Ok((header(), vec![piece])), "{length} bytes");
        }
    }
    assert_eq!(read(&written(&[]), usize::MAX), Ok((header(), vec![])));
    for at_a_time in [1, 7, 4096, CHUNK_BYTES, 100_000] {
        assert_eq!(read(&written(&several()), at_a_time), Ok((header(), several())), "{at_a_time} at a time");
    }
}

#[test]
fn when_the_bytes_are_taken_makes_no_difference() {
    let mut writer = Writer::new(&header());
    let mut bytes = vec![];
    for piece in several() {
        bytes.extend_from_slice(&writer.take());
        writer.piece(&piece);
        assert!(writer.ready() < CHUNK_BYTES * 3 + 100);
    }
    writer.finish();
    bytes.extend_from_slice(&writer.take());
    assert_eq!(bytes, written(&several()));
}

#[test]
fn it_is_compressed_where_that_helps_and_hardly_longer_where_not() {
    let content = 20 * CHUNK_BYTES;
    let short = written(&[machine(vec![1; content])]).len();
    assert!(short < content / 100, "{short} bytes");
    assert!(written(&[machine(noise(content))]).len() < content + 21 * 12 + 200);
}

/// A small file with chunks of both kinds, the last one in part.
fn small() -> Vec<u8> {
    written(&[sessions(b"s"), machine(vec![9; CHUNK_BYTES]), machine(noise(300))])
}

#[test]
fn every_damaged_byte_is_noticed() {
    let file = small();
    for at in 0..file.len() {
        for damage in [1, 0x80, 0xFF] {
            let mut damaged = file.clone();
            damaged[at] ^= damage;
            let error = read(&damaged, usize::MAX).expect_err("damage that nobody notices");
            if let SnapshotError::Damaged { offset, .. } = &error {
                assert!(*offset <= at as u64, "damaged at {at}: {error}");
            }
        }
    }
}

#[test]
fn every_length_but_the_right_one_is_noticed() {
    let file = small();
    for length in 0..file.len() {
        let error = read(&file[..length], usize::MAX).expect_err("a file that was cut");
        let expected = SnapshotError::CutShort { file: file_name(), length: length as u64 };
        assert_eq!(error, expected);
    }
    let longer = [&file[..], &[0]].concat();
    let error = read(&longer, usize::MAX).expect_err("a file that goes on");
    assert!(error.to_string().contains("it goes on after its end"), "{error}");
}

/// Where each chunk begins, and where the end does.
fn chunks(file: &[u8]) -> Vec<usize> {
    let mut reader = Reader::new(String::new());
    let mut starts = vec![];
    for byte in file {
        reader.feed(Bytes::copy_from_slice(&[*byte]));
        while reader.next_piece().unwrap().is_some() {}
        let verified = reader.verified() as usize;
        if verified > 0 && starts.last() != Some(&verified) {
            starts.push(verified);
        }
    }
    assert!(reader.is_whole());
    assert_eq!(starts.pop(), Some(file.len()), "all of it is verified");
    starts
}

#[test]
fn chunks_of_another_snapshot_or_place_are_refused() {
    let file = written(&[machine(noise(2 * CHUNK_BYTES))]);
    let [first, second, third, end] = chunks(&file)[..] else { panic!("three chunks and an end") };
    let mut other = Writer::new(&Header { index: LogIndex(301), ..header() });
    other.piece(&machine(noise(2 * CHUNK_BYTES)));
    other.finish();
    let other = other.take();
    let mixed = [&file[..second], &other[second..third], &file[third..]].concat();
    let swapped = [&file[..first], &file[second..third], &file[first..second], &file[third..]].concat();
    let missing = [&file[..third], &file[end..]].concat();
    let ended = [&file[..first], &file[end..]].concat();
    for (wrong, place) in [(mixed, second), (swapped, first), (missing, third), (ended, first)] {
        let error = read(&wrong, usize::MAX).expect_err("a file put together from others");
        let what = "the checksum of a chunk is wrong";
        let file = file_name();
        assert_eq!(error, SnapshotError::Damaged { file, offset: place as u64, what });
    }
}

/// Of a number that comes before its checksum, no more memory is asked for than any snapshot needs.
#[test]
fn impossible_lengths_are_refused_before_what_they_tell_of_is_there() {
    let told = |bytes: &[u8]| {
        let mut reader = Reader::new(file_name());
        reader.feed(Bytes::copy_from_slice(bytes));
        reader.next_piece().map_err(|error| error.to_string())
    };
    let longest = (LONGEST_HEADER - 20) as u32;
    for (length, is_possible) in [(0, true), (longest, true), (longest + 1, false), (u32::MAX, false)] {
        let mut start = header().encode()[..20].to_vec();
        start[12..16].copy_from_slice(&length.to_le_bytes());
        // An empty header is there at once, and its checksum is wrong.
        assert_eq!(told(&start) == Ok(None), is_possible && length > 0, "{length} bytes of header");
    }
    let chunk = CHUNK_BYTES as u32;
    let lengths = [
        (0, 0, true),
        (1, 1, true),
        (1, chunk, true),
        (chunk, chunk, true),
        (0, 1, false),
        (1, 0, false),
        (5, 4, false),
        (1, chunk + 1, false),
        (chunk + 1, chunk + 1, false),
        (u32::MAX, u32::MAX, false),
    ];
    for (stored, content, is_possible) in lengths {
        let prefix = [stored, content, 0].map(u32::to_le_bytes);
        let said = told(&[&header().encode(), prefix.as_flattened()].concat());
        let is_refused = said.is_err_and(|error| error.contains("a chunk has lengths that none has"));
        assert_eq!(is_refused, !is_possible, "{stored} of {content}");
    }
}

/// A file with one chunk and an end that tells of so many chunks, so many bytes and this checksum.
fn with_end(content: &[u8], end: [u64; 3]) -> Vec<u8> {
    let mut file = header().encode();
    let of_header = u32_at(&file, 16);
    let end = end.map(u64::to_le_bytes);
    for (number, lengths, stored) in
        [(0, [content.len() as u32; 2], content), (1, [0; 2], end.as_flattened())]
    {
        let lengths = lengths.map(u32::to_le_bytes);
        let crc = chunk_crc(of_header, number, lengths.as_flattened(), stored).to_le_bytes();
        file.extend([lengths.as_flattened(), &crc, stored].concat());
    }
    file
}

#[test]
fn a_file_that_ends_within_a_piece_is_refused() {
    for (content, is_whole) in
        [(&[1, 2, 0, 0, 0, 7, 7][..], true), (&[1, 2, 0, 0, 0, 7], false), (&[1], false)]
    {
        let file = with_end(content, [1, content.len() as u64, xxhash_rust::xxh3::xxh3_64(content)]);
        match read(&file, usize::MAX) {
            Ok((_, pieces)) => assert_eq!((pieces, is_whole), (vec![machine(&content[5..])], true)),
            Err(error) => {
                assert!(!is_whole && error.to_string().contains("it ends within a piece"), "{error}");
            }
        }
    }
}

#[test]
fn an_end_that_tells_of_other_chunks_is_refused() {
    let content = [1, 2, 0, 0, 0, 7, 7];
    let right = [1, content.len() as u64, xxhash_rust::xxh3::xxh3_64(&content)];
    assert!(read(&with_end(&content, right), usize::MAX).is_ok());
    for what in 0..right.len() {
        let mut wrong = right;
        wrong[what] += 1;
        let error = read(&with_end(&content, wrong), usize::MAX).expect_err("another end");
        assert!(error.to_string().contains("not those that its end mark tells of"), "{error}");
    }
}

/// Two lengths that are the same say that a chunk is stored as it is.
#[test]
fn what_compression_makes_no_shorter_is_stored_as_it_is() {
    let mut is_just_no_shorter = false;
    for repeated in 0..30 {
        let noise = noise(300);
        let bytes = [&noise[..], &noise[..repeated]].concat();
        let content = [&[1][..], &(bytes.len() as u32).to_le_bytes(), &bytes].concat();
        is_just_no_shorter |= lz4_flex::block::compress(&content).len() == content.len();
        let piece = machine(bytes);
        let file = written(core::slice::from_ref(&piece));
        assert_eq!(read(&file, usize::MAX), Ok((header(), vec![piece])), "{repeated} bytes come twice");
    }
    assert!(is_just_no_shorter);
}

#[test]
fn what_is_wrong_is_said_with_file_and_place_and_advice() {
    let mut file = small();
    file[100] ^= 1;
    let error = read(&file, usize::MAX).unwrap_err().to_string();
    assert!(error.starts_with("snapshot-00000000000000000300 is damaged at offset 52:"), "{error}");
    assert!(error.contains("Do not delete or edit single files"), "{error}");
    file[0] ^= 1;
    let error = read(&file, usize::MAX).unwrap_err().to_string();
    assert!(error.contains("at offset 0: it does not begin like a snapshot"), "{error}");
    let mut newer = header().encode();
    newer[8] = 2;
    let crc = super::format::header_crc(&newer[..16], &newer[20..]);
    newer[16..20].copy_from_slice(&crc.to_le_bytes());
    let error = read(&newer, usize::MAX).unwrap_err();
    assert_eq!(error, SnapshotError::Version { file: file_name(), found: 2 });
}

/// The format, byte for byte. If this test has to change, so has the version, and old files must still be
/// read.
#[test]
fn the_file_is_a_format() {
    let file = written(&[sessions(b"sessions"), machine(vec![7; 100])]);
    let hex: String = file
        .chunks(16)
        .map(|line| line.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n")
        .collect();
    assert_eq!(hex, GOLDEN);
}

const GOLDEN: &str = "\
52414654534e41500100000020000000
0477c092888e98a8c0e0808101ac0207
cdd70201020161000000000001620000
000000001f00000076000000f956b36e
ff04000800000073657373696f6e7301
640000000701004a6007070707070700
00000000000000ce7613c40100000000
000000760000000000000023821c76f5
d9b743
";

proptest! {
    #[test]
    fn any_pieces_at_any_split(
        lengths in proptest::collection::vec((any::<bool>(), 0..40_000_usize), 0..8),
        at_a_time in 1..100_000_usize,
    ) {
        let pieces: Vec<Piece> = lengths
            .into_iter()
            .map(|(is_session, length)| match is_session {
                true => Piece::Sessions(noise(length)),
                false => machine(noise(length)),
            })
            .collect();
        prop_assert_eq!(read(&written(&pieces), at_a_time), Ok((header(), pieces)));
    }
}
