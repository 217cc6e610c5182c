//! Connections between servers: one for each direction, as the nodes make them, and what cuts them.

use bytes::Bytes;
use raft_core::message::Message;
use raft_core::types::{Incarnation, Time};

/// A message as it travels, with what its connection says of the sender.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) incarnation: Incarnation,
    pub(crate) message: Bytes,
}

impl Packet {
    pub(crate) fn read(&self) -> Message {
        postcard::from_bytes(&self.message).expect("a message that can be read")
    }
}

/// One direction between two servers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    /// Whether the sender's process takes it for open.
    pub(crate) is_open: bool,
    /// Whether the connection is gone, though the sender may not know.
    pub(crate) is_dead: bool,
    /// Which connection this is, from 1.
    pub(crate) stream: u64,
    /// How many cuts lie across it.
    pub(crate) cuts: u32,
    /// When what was sent last arrives.
    pub(crate) last_arrival: Time,
}

#[derive(Debug)]
pub(crate) struct Network {
    servers: usize,
    links: Vec<Link>,
    /// The directions of each cut, whether it is in force, and how often it may still come back.
    cuts: Vec<Cut>,
}

#[derive(Clone, Debug)]
pub(crate) struct Cut {
    directions: Vec<(usize, usize)>,
    pub(crate) is_on: bool,
    pub(crate) returns: u64,
    pub(crate) period: u64,
}

impl Network {
    pub(crate) fn new(servers: usize) -> Network {
        Network { servers, links: vec![Link::default(); servers * servers], cuts: Vec::new() }
    }

    pub(crate) fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.servers + to]
    }

    /// Whether what a server sends to another one has a connection that is not gone.
    pub(crate) fn is_open(&self, from: usize, to: usize) -> bool {
        let link = &self.links[from * self.servers + to];
        link.is_open && !link.is_dead
    }

    /// Whether a server sends into a connection that is gone, and does not know yet.
    pub(crate) fn is_half_open(&self, from: usize, to: usize) -> bool {
        let link = &self.links[from * self.servers + to];
        link.is_open && link.is_dead
    }

    /// Whether anything gets through between two servers in both directions.
    pub(crate) fn is_whole(&self, a: usize, b: usize) -> bool {
        self.links[a * self.servers + b].cuts == 0 && self.links[b * self.servers + a].cuts == 0
    }

    /// Cuts these directions until the cut is switched; returns its number.
    pub(crate) fn cut(&mut self, directions: Vec<(usize, usize)>, returns: u64, period: u64) -> u64 {
        self.cuts.push(Cut { directions, is_on: false, returns, period });
        let number = self.cuts.len() as u64 - 1;
        self.switch(number);
        number
    }

    /// Ends a cut, or brings it back.
    pub(crate) fn switch(&mut self, number: u64) -> Cut {
        let cut = &mut self.cuts[usize::try_from(number).expect("fits")];
        cut.is_on = !cut.is_on;
        if cut.is_on {
            cut.returns = cut.returns.saturating_sub(1);
        }
        let cut = cut.clone();
        for &(from, to) in &cut.directions {
            let link = &mut self.links[from * self.servers + to];
            link.cuts = if cut.is_on { link.cuts + 1 } else { link.cuts - 1 };
        }
        cut
    }

    /// Nothing is cut any more, for good.
    pub(crate) fn heal(&mut self) {
        self.links.iter_mut().for_each(|link| link.cuts = 0);
        for cut in &mut self.cuts {
            (cut.is_on, cut.returns) = (false, 0);
            cut.directions.clear();
        }
    }
}
