//! What production has to expect, estimated from what the copy went through.

use crate::rehearsal::contract::Contract;
use crate::rehearsal::evidence::{Evidence, Rewrite};
use crate::rehearsal::text::{bytes, duration};

/// How much write-ahead log a replica may take in, in bytes for each second.
const RATES: [u64; 2] = [10_000_000, 100_000_000];

pub(super) struct Estimate {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) meaning: String,
}

/// Nothing, when nothing was measured, or only of a part of production's rows.
pub(super) fn estimates(contract: &Contract) -> Vec<Estimate> {
    let evidence = &contract.evidence;
    if evidence.steps.is_empty() || contract.copy.lacks().is_some() {
        return Vec::new();
    }
    let wal = evidence.wal_bytes();
    let meanwhile = written_twice(evidence, contract.single_transaction);
    let grows = evidence.size[1].saturating_sub(evidence.size[0]);
    let disk = [meanwhile, grows, wal, evidence.temporary_bytes]
        .into_iter()
        .fold(0, u64::saturating_add);
    let lag = RATES.map(|rate| duration(wal.saturating_mul(1_000) / rate));
    vec![
        Estimate {
            name: "Time",
            value: format!("about {}", duration(evidence.milliseconds())),
            meaning: "What the copy took. Production takes longer while others use it, while the upgrade waits for their \
                      locks, when its disk is slower or what it reads is not in memory; it waits for the disk at every \
                      commit, which a throw-away server does not."
                .to_owned(),
        },
        Estimate {
            name: "Write-ahead log",
            value: format!("about {}", bytes(wal)),
            meaning: "What the copy wrote. Whole pages are logged once after each checkpoint, so that production may write \
                      several times as much where rows all over large tables change. In a server that others use too, theirs \
                      is counted with it. Archive and replicas get all of it."
                .to_owned(),
        },
        Estimate {
            name: "Extra disk",
            value: format!("about {}", bytes(disk)),
            meaning: format!(
                "{} for relations that exist twice until {} commits, their indexes and long values not counted; {} by which \
                 the database had grown in the end; {} of write-ahead log, until it is archived and recycled; {} of temporary \
                 files at most.",
                bytes(meanwhile),
                if contract.single_transaction {
                    "the one transaction"
                } else {
                    "the step that writes them anew"
                },
                bytes(grows),
                bytes(wal),
                bytes(evidence.temporary_bytes)
            ),
        },
        Estimate {
            name: "Replica lag",
            value: format!("{} at 10 MB/s, {} at 100 MB/s", lag[0], lag[1]),
            meaning: "How long a replica that takes in so much needs for the write-ahead log above, if it has nothing else to \
                      do. Queries on a replica stand in the way of locks there, and hold it up further or are cancelled."
                .to_owned(),
        },
    ]
}

/// Bytes of what exists twice at the same time: what one step writes anew, or all steps of a single transaction.
fn written_twice(evidence: &Evidence, single_transaction: bool) -> u64 {
    let of = |rewrites: &mut dyn Iterator<Item = &Rewrite>| {
        rewrites.map(|rewrite| rewrite.bytes).fold(0, u64::saturating_add)
    };
    if single_transaction {
        return of(&mut evidence.rewrites.iter());
    }
    let steps = 0..evidence.steps.len();
    let step = |step| of(&mut evidence.rewrites.iter().filter(|rewrite| rewrite.by.step == step));
    steps.map(step).max().unwrap_or(0)
}
