//! What was measured.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::args::{Args, Operation, Route, Target};

/// What takes longer counts as this long.
const LONGEST_MICROS: u64 = 3_600_000_000;

/// Counts and latencies of all connections.
pub(crate) struct Report {
    latency: Histogram<u64>,
    errors: BTreeMap<String, u64>,
    begun: u64,
}

impl Default for Report {
    fn default() -> Report {
        let latency = Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("these bounds are allowed");
        Report { latency, errors: BTreeMap::new(), begun: 0 }
    }
}

impl Report {
    /// Counts a request that is about to begin, unless there were enough.
    pub(crate) fn may_go_on(&mut self, max_ops: u64) -> bool {
        self.begun += 1;
        self.begun <= max_ops
    }

    pub(crate) fn done(&mut self, took: Duration) {
        self.latency.saturating_record(took.as_micros().try_into().unwrap_or(u64::MAX));
    }

    pub(crate) fn error(&mut self, what: &str) {
        *self.errors.entry(what.to_owned()).or_default() += 1;
    }

    /// The figures as JSON.
    pub(crate) fn finish(&self, args: &Args, took: Duration) -> Value {
        let latency = &self.latency;
        let operations = latency.len();
        json!({
            "target": if args.target == Target::Raft { "raft" } else { "etcd" },
            "operation": if args.operation == Operation::Put { "put" } else { "get" },
            "route": if args.route == Route::All { "all" } else { "leader" },
            "connections": args.connections,
            "value_bytes": args.value_bytes,
            "keys": args.keys,
            "seconds": took.as_secs_f64(),
            "operations": operations,
            "operations_per_second": (operations as f64 / took.as_secs_f64()).round(),
            "latency_us": {
                "mean": latency.mean().round(),
                "p50": latency.value_at_quantile(0.5),
                "p99": latency.value_at_quantile(0.99),
                "p999": latency.value_at_quantile(0.999),
                "max": latency.max(),
            },
            "errors": self.errors,
        })
    }
}
