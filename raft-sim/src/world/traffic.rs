//! Messages on their way, and the connections that carry them.

use std::time::Duration;

use bytes::Bytes;
use raft_core::message::Message;
use raft_core::replica::Event;
use raft_core::story;
use raft_core::types::{NodeId, Time};

use super::World;
use super::disk::Death;
use super::network::Packet;
use super::node::Coming;
use crate::fault::Fault;

/// After so long without an answer from the other side a connection is given up.
const SILENCE: Duration = Duration::from_secs(2);

impl World {
    fn way(&mut self) -> Duration {
        let (low, high) = self.plan.latency;
        Duration::from_micros(self.traffic_dice.between(low, high))
    }

    /// A server sends a message: it travels as bytes, as it would.
    pub(super) fn transmit(&mut self, from: usize, to: &NodeId, message: &Message) {
        let to = self.nodes.iter().position(|node| node.id == *to).expect("a server of the cluster");
        let bytes = Bytes::from(postcard::to_allocvec(message).expect("a message that can be written"));
        self.trace.note_bytes(&bytes);
        self.counts.messages += 1;
        let (is_open, is_dead) = (self.network.link(from, to).is_open, self.network.link(from, to).is_dead);
        if !is_open {
            return;
        }
        let is_cut = self.network.link(from, to).cuts > 0;
        if is_cut || is_dead || self.faults.strikes(Fault::Drop) {
            self.trace.tell(self.now, || format!("n{} -x n{} {}", from + 1, to + 1, story::message(message)));
            return;
        }
        let packet = Packet { incarnation: self.nodes[from].incarnation, message: bytes };
        let may_repeat = !is_once(message);
        if may_repeat && self.faults.strikes(Fault::Duplicate) {
            let dice = self.faults.dice(Fault::Duplicate);
            let most = [5000, 500_000, 5_000_000][dice.index(3)];
            let arrival = self.now + Duration::from_micros(dice.between(1, most));
            let (stream, packet) = (self.network.link(from, to).stream, packet.clone());
            self.queue.put(arrival, Coming::Arrival { from, to, stream, is_late: true, packet });
        }
        self.put_on_way(from, to, packet);
    }

    fn put_on_way(&mut self, from: usize, to: usize, packet: Packet) {
        let mut arrival = self.now + self.way();
        if self.faults.strikes(Fault::Delay) {
            let dice = self.faults.dice(Fault::Delay);
            let most = if dice.one_in(8) { 5_000_000 } else { 600_000 };
            arrival = arrival + Duration::from_micros(dice.between(5000, most));
        }
        let overtaken = self.faults.strikes(Fault::Overtake);
        let link = self.network.link(from, to);
        if overtaken {
            arrival = arrival + Duration::from_micros(self.faults.dice(Fault::Overtake).between(100, 40_000));
        } else if self.plan.in_order {
            arrival = arrival.max(link.last_arrival);
            link.last_arrival = arrival;
        }
        let (stream, is_late) = (link.stream, self.faults.strikes(Fault::Late));
        self.queue.put(arrival, Coming::Arrival { from, to, stream, is_late, packet });
    }

    /// A message arrives, if its connection is still there (or it is late, and comes all the same).
    pub(super) fn arrive(&mut self, from: usize, to: usize, stream: u64, is_late: bool, packet: &Packet) {
        let link = self.network.link(from, to);
        let is_current = link.stream == stream && !link.is_dead && link.cuts == 0;
        if !self.nodes[to].is_up() || !(is_current || is_late) {
            return;
        }
        let mut message = packet.read();
        if !is_current && is_once(&message) {
            return;
        }
        self.spoil_on_arrival(to, &mut message);
        self.trace.tell(self.now, || format!("n{} -> n{} {}", from + 1, to + 1, story::message(&message)));
        let (from, incarnation) = (self.nodes[from].id.clone(), packet.incarnation);
        self.comes_in(to, Event::Received { from, incarnation, message });
    }

    /// A process tries to connect, and again later if it cannot.
    pub(super) fn dial(&mut self, from: usize, to: usize, life: u64) {
        if self.nodes[from].life != life || !self.nodes[from].is_up() || self.network.link(from, to).is_open {
            return;
        }
        if !self.speaks_to(from, to) {
            return;
        }
        let slow = self.faults.strikes(Fault::SlowDial);
        if slow || !self.nodes[to].is_up() || !self.network.is_whole(from, to) {
            let pause = if slow { self.faults.dice(Fault::SlowDial).between(1, 1000) } else { 20 };
            return self.queue.put(self.now + Duration::from_millis(pause), Coming::Dial { from, to, life });
        }
        let link = self.network.link(from, to);
        (link.is_open, link.is_dead, link.last_arrival) = (true, false, Time::ZERO);
        link.stream += 1;
        let peer = self.nodes[to].id.clone();
        self.comes_in(from, Event::Connected { peer });
    }

    /// A process learns that its connection is gone, and makes another.
    pub(super) fn ended(&mut self, from: usize, to: usize, life: u64, stream: u64, process_died: bool) {
        let link = self.network.link(from, to);
        if link.stream != stream
            || !link.is_open
            || self.nodes[from].life != life
            || !self.nodes[from].is_up()
        {
            return;
        }
        (link.is_open, link.is_dead) = (false, true);
        let peer = self.nodes[to].id.clone();
        self.comes_in(from, Event::Disconnected { peer, process_died });
        self.queue.put(self.now + Duration::from_millis(1), Coming::Dial { from, to, life });
    }

    /// A connection breaks; its sender learns of it after a while.
    pub(super) fn break_stream(&mut self, from: usize, to: usize, after: Duration, process_died: bool) {
        let link = self.network.link(from, to);
        if !link.is_open {
            return;
        }
        link.is_dead = true;
        let (stream, life) = (link.stream, self.nodes[from].life);
        self.queue.put(self.now + after, Coming::Ended { from, to, life, stream, process_died });
    }

    /// A process is gone, and its connections with it. Its kernel says so to whoever it can reach; a machine
    /// without power says nothing.
    pub(super) fn end_streams(&mut self, at: usize, death: Death) {
        for peer in (0..self.nodes.len()).filter(|peer| *peer != at) {
            let silent = death == Death::Power || !self.network.is_whole(at, peer);
            let after = if silent { SILENCE } else { self.way() };
            self.break_stream(peer, at, after, !silent);
            let link = self.network.link(at, peer);
            link.is_open = false;
            // What a process has sent is on its way; what a machine has sent may not be.
            link.is_dead = death == Death::Power;
        }
    }

    /// A cut ends or comes back; connections that it silenced for long are given up.
    pub(super) fn switch_cut(&mut self, number: u64) {
        let cut = self.network.switch(number);
        self.trace.tell(self.now, || {
            format!(
                "the network is {}: cut {number} {}",
                if cut.is_on { "cut" } else { "mended" },
                cut.period
            )
        });
        if cut.is_on || cut.returns > 0 {
            self.queue.put(self.now + Duration::from_millis(cut.period), Coming::Cut { number });
        }
    }
}

/// A connection delivers once, and only that makes a forwarded write or task unique.
fn is_once(message: &Message) -> bool {
    matches!(message, Message::Forward { .. } | Message::Administer { .. })
}
