//! A disk that forgets: of each sector written and not flushed, a crash keeps any version.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::disk::{DiskOp, FileName, ReadDisk, ReadError};

pub(super) const SECTOR: usize = 512;

/// A small, fast source of numbers that look random; the same for the same seed.
#[derive(Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % bound.max(1) as u64).unwrap_or(0)
    }
}

#[derive(Clone, Default)]
struct File {
    /// As a running process sees it.
    seen: Vec<u8>,
    /// By sector, oldest first: every version that may be the one on the disk, if there is more than one.
    versions: BTreeMap<usize, Vec<Vec<u8>>>,
}

#[derive(Clone, Default)]
pub(super) struct TornDisk {
    files: BTreeMap<FileName, File>,
}

impl TornDisk {
    pub(super) fn apply(&mut self, op: &DiskOp) {
        match op {
            DiskOp::Prepare { file, size, head } => {
                let mut seen = vec![0; usize::try_from(*size).expect("fits")];
                seen[..head.len()].copy_from_slice(head);
                self.files.insert(file.clone(), File { seen, versions: BTreeMap::new() });
            }
            DiskOp::Write { file, offset, data } => {
                let file = self.files.get_mut(file).expect("a write to a file that was not prepared");
                file.write(usize::try_from(*offset).expect("fits"), data);
            }
            DiskOp::Replace { file, content } => {
                let seen = content.to_vec();
                self.files.insert(file.clone(), File { seen, versions: BTreeMap::new() });
            }
            DiskOp::Remove { file } => drop(self.files.remove(file)),
        }
    }

    pub(super) fn apply_all(&mut self, ops: &[DiskOp]) {
        ops.iter().for_each(|op| self.apply(op));
    }

    pub(super) fn sync(&mut self) {
        self.files.values_mut().for_each(|file| file.versions.clear());
    }

    /// In how many ways a crash can come out, capped.
    pub(super) fn outcomes(&self) -> usize {
        let sectors = self.files.values().flat_map(|file| file.versions.values());
        sectors.fold(1, |product: usize, versions| product.saturating_mul(versions.len()))
    }

    /// The power goes; `choose` picks one of so many versions, 0 the oldest.
    pub(super) fn crash(&mut self, mut choose: impl FnMut(usize) -> usize) {
        for file in self.files.values_mut() {
            for (sector, versions) in core::mem::take(&mut file.versions) {
                let kept = &versions[choose(versions.len())];
                file.seen[sector * SECTOR..][..kept.len()].copy_from_slice(kept);
            }
        }
    }

    /// The power goes while an operation runs that is not a write.
    pub(super) fn crash_within(&mut self, op: &DiskOp, dice: &mut Dice) {
        if let DiskOp::Prepare { file, size, head } = op
            && dice.below(4) > 0
        {
            let mut seen = vec![0; dice.below(usize::try_from(*size).expect("fits") + 1)];
            let kept = head.len().min(seen.len());
            if dice.below(2) > 0 {
                seen[..kept].copy_from_slice(&head[..kept]);
            }
            self.files.insert(file.clone(), File { seen, versions: BTreeMap::new() });
        } else if dice.below(2) > 0 {
            self.apply(op);
        }
        self.crash(|versions| dice.below(versions));
    }

    pub(super) fn names(&self) -> Vec<FileName> {
        self.files.keys().cloned().collect()
    }

    /// The file's bytes, to look at or to damage.
    pub(super) fn bytes(&mut self, file: &str) -> &mut Vec<u8> {
        &mut self.files.get_mut(file).expect("no such file").seen
    }

    pub(super) fn remove(&mut self, file: &str) -> Vec<u8> {
        self.files.remove(file).expect("no such file").seen
    }

    pub(super) fn put(&mut self, file: &str, seen: Vec<u8>) {
        self.files.insert(file.to_string(), File { seen, versions: BTreeMap::new() });
    }
}

impl File {
    fn write(&mut self, offset: usize, data: &[u8]) {
        let sectors = offset / SECTOR..(offset + data.len()).div_ceil(SECTOR);
        for sector in sectors.clone() {
            let before = self.sector(sector);
            self.versions.entry(sector).or_insert_with(|| vec![before]);
        }
        self.seen[offset..offset + data.len()].copy_from_slice(data);
        for sector in sectors {
            let after = self.sector(sector);
            let versions = self.versions.entry(sector).or_default();
            if versions.last() != Some(&after) {
                versions.push(after);
            }
        }
    }

    fn sector(&self, sector: usize) -> Vec<u8> {
        self.seen[sector * SECTOR..].iter().take(SECTOR).copied().collect()
    }
}

impl ReadDisk for TornDisk {
    fn list(&self) -> Result<Vec<FileName>, ReadError> {
        Ok(self.names())
    }

    fn read(&self, file: &str) -> Result<Bytes, ReadError> {
        match self.files.get(file) {
            Some(found) => Ok(Bytes::copy_from_slice(&found.seen)),
            None => Err(ReadError { file: String::from(file), reason: String::from("no such file") }),
        }
    }
}
