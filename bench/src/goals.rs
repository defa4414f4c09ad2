//! What is aimed at, in one table.
//!
//! Times are CPU time. Bytes are what each ships: ours are compressed, and the time of compressing and decompressing is in
//! that of the section. What ours are without compression, and theirs with, the report has in lines of its own.

use crate::workloads;

/// What ours is set against.
#[derive(Debug, Clone, Copy)]
pub enum Against {
    /// A named system, in the same run.
    Peer(&'static str),
    /// The best of those that made the same promise.
    Best,
    /// Our own value of the same run.
    Ourselves,
    /// Nobody: the value itself is aimed at.
    Nobody,
}

/// A goal: `metric` of ours is at most `at_most` times `scale` times `reference`.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// Of which workload.
    pub workload: &'static str,
    /// Ours.
    pub metric: &'static str,
    /// Of whom the reference is.
    pub against: Against,
    /// Their metric.
    pub reference: &'static str,
    /// How much more is expected than the reference: for growth, where the work is more.
    pub scale: f64,
    /// The ratio aimed at.
    pub at_most: f64,
}

const fn goal(
    workload: &'static str,
    metric: &'static str,
    against: Against,
    reference: &'static str,
    at_most: f64,
) -> Goal {
    Goal { workload, metric, against, reference, scale: 1.0, at_most }
}

const fn grows(metric: &'static str, reference: &'static str, scale: f64, at_most: f64) -> Goal {
    Goal { workload: "growth", metric, against: Against::Ourselves, reference, scale, at_most }
}

use Against::{Best, Nobody, Ourselves, Peer};

/// To the byte, but for the digits of the counters: one of a million takes two bytes more than one of one.
const DIGITS: f64 = 1.1;
/// log(8n) / log(n) at the smallest size of the growth workload, 12 500.
const LOG: f64 = 1.220_4;
/// 8n log(8n) / n log(n).
const N_LOG_N: f64 = 8.0 * LOG;

/// All of them, in the order of the workloads.
pub const ALL: &[Goal] = &[
    goal("counter", "one_tx.cpu", Peer("crdts"), "one_tx.cpu", 1.0),
    goal("counter", "each.cpu", Best, "each.cpu", 0.1),
    goal("counter", "merge_1000.cpu", Peer("crdts"), "merge_1000.cpu", 1.0),
    goal("counter", "save_x100.cpu", Best, "save_x100.cpu", 0.5),
    goal("counter", "save_x100.bytes", Best, "save_x100.bytes", 0.8),
    goal("counter", "load_x100.cpu", Best, "load_x100.cpu", 0.5),
    goal("set", "add_remove.cpu", Peer("crdts"), "add_remove.cpu", 0.5),
    goal("set", "add_remove.peak", Peer("crdts"), "add_remove.peak", 0.7),
    goal("set", "merge.cpu", Peer("yrs"), "merge.cpu", 0.5),
    goal("set", "merge.bytes", Peer("automerge"), "merge.bytes", 0.8),
    goal("set", "save.cpu", Best, "save.cpu", 0.5),
    goal("set", "save.bytes", Peer("automerge"), "save.bytes", 0.8),
    goal("set", "load.cpu", Best, "load.cpu", 0.5),
    goal("map", "set.cpu", Best, "set.cpu", 0.5),
    goal("map", "set.peak", Peer("yrs"), "set.peak", 0.7),
    goal("map", "set_each.cpu", Best, "set_each.cpu", 0.5),
    goal("map", "overwrite.cpu", Peer("yrs"), "overwrite.cpu", 0.5),
    goal("map", "get.cpu", Peer("dson"), "get.cpu", 0.7),
    goal("map", "merge.cpu", Peer("yrs"), "merge.cpu", 0.5),
    goal("map", "merge.bytes", Peer("automerge"), "merge.bytes", 0.8),
    goal("map", "save.cpu", Best, "save.cpu", 0.5),
    goal("map", "save.bytes", Peer("loro"), "save.bytes", 0.8),
    goal("map", "load.cpu", Best, "load.cpu", 0.5),
    goal("nested", "create.cpu", Best, "create.cpu", 0.3),
    goal("nested", "edit.cpu", Best, "edit.cpu", 0.3),
    goal("nested", "apply.cpu", Best, "apply.cpu", 0.3),
    goal("nested", "edit.bytes", Best, "edit.bytes", 0.5),
    goal("nested", "save.cpu", Best, "save.cpu", 0.5),
    goal("nested", "save.bytes", Best, "save.bytes", 0.8),
    goal("nested", "load.cpu", Best, "load.cpu", 0.5),
    goal("sync-small", "handshake.cpu", Peer("yrs"), "handshake.cpu", 0.5),
    goal("sync-small", "handshake.bytes", Peer("yrs"), "handshake.bytes", 1.0),
    goal("sync-small", "handshake.messages_each_way", Peer("yrs"), "handshake.messages_each_way", 1.0),
    goal("sync-small", "push.cpu", Peer("yrs"), "push.cpu", 1.0),
    goal("sync-small", "push.bytes", Peer("yrs"), "push.bytes", 0.8),
    goal("overwrite", "register.live", Ourselves, "register_once.live", 1.0),
    goal("overwrite", "register.bytes", Ourselves, "register_once.bytes", DIGITS),
    goal("overwrite", "member.live", Ourselves, "member_once.live", 1.0),
    goal("overwrite", "member.bytes", Ourselves, "member_once.bytes", DIGITS),
    goal("text", "one_tx.cpu", Best, "one_tx.cpu", 1.3),
    goal("text", "one_tx.peak", Best, "one_tx.peak", 1.0),
    goal("text", "each.cpu", Best, "each.cpu", 0.5),
    goal("text", "apply.cpu", Best, "apply.cpu", 0.5),
    goal("text", "keystroke.bytes", Nobody, "keystroke.bytes", 16.0),
    goal("text", "save.bytes", Best, "save.zstd.bytes", 0.5),
    goal("text", "trimmed.bytes", Best, "trimmed.zstd.bytes", 1.0),
    goal("text", "load.cpu", Best, "load.cpu", 1.0),
    goal("text", "exchange.cpu", Peer("yrs"), "exchange.cpu", 0.2),
    goal("text", "exchange.bytes", Best, "exchange.bytes", 0.6),
    goal("text", "catch_up.cpu", Best, "catch_up.cpu", 1.0),
    goal("text", "catch_up_each.cpu", Best, "catch_up_each.cpu", 2.0),
    goal("text", "merge.cpu", Best, "merge.cpu", 1.0),
    goal("marks", "each.cpu", Best, "each.cpu", 0.7),
    goal("marks", "typing.cpu", Best, "typing.cpu", 0.7),
    goal("list", "random.cpu", Best, "random.cpu", 0.5),
    goal("list", "append.cpu", Best, "append.cpu", 0.5),
    goal("list", "random_read.cpu", Best, "random_read.cpu", 0.5),
    goal("list", "random_save.bytes", Best, "random_save.zstd.bytes", 0.8),
    goal("list", "random_load.cpu", Best, "random_load.cpu", 1.0),
    goal("list", "append_read.cpu", Best, "append_read.cpu", 0.5),
    goal("list", "append_save.bytes", Best, "append_save.zstd.bytes", 0.8),
    goal("list", "append_load.cpu", Best, "append_load.cpu", 1.0),
    goal("moves", "local.cpu", Best, "local.cpu", 0.7),
    goal("moves", "merge.cpu", Best, "merge.cpu", 0.7),
    goal("tree", "local.cpu", Best, "local.cpu", 0.7),
    goal("tree", "merge.cpu", Best, "merge.cpu", 0.7),
    grows("set_2n.live", "set_1n.live", 2.0, 1.1),
    grows("set_4n.live", "set_2n.live", 2.0, 1.1),
    grows("set_8n.live", "set_4n.live", 2.0, 1.1),
    grows("set_2n.bytes", "set_1n.bytes", 2.0, 1.1),
    grows("set_4n.bytes", "set_2n.bytes", 2.0, 1.1),
    grows("set_8n.bytes", "set_4n.bytes", 2.0, 1.1),
    grows("map_2n.live", "map_1n.live", 2.0, 1.1),
    grows("map_4n.live", "map_2n.live", 2.0, 1.1),
    grows("map_8n.live", "map_4n.live", 2.0, 1.1),
    grows("map_2n.bytes", "map_1n.bytes", 2.0, 1.1),
    grows("map_4n.bytes", "map_2n.bytes", 2.0, 1.1),
    grows("map_8n.bytes", "map_4n.bytes", 2.0, 1.1),
    grows("text_2n.live", "text_1n.live", 2.0, 1.1),
    grows("text_4n.live", "text_2n.live", 2.0, 1.1),
    grows("text_8n.live", "text_4n.live", 2.0, 1.1),
    grows("text_2n.bytes", "text_1n.bytes", 2.0, 1.1),
    grows("text_4n.bytes", "text_2n.bytes", 2.0, 1.1),
    grows("text_8n.bytes", "text_4n.bytes", 2.0, 1.1),
    grows("set_8n.cpu", "set_1n.cpu", N_LOG_N, 1.25),
    grows("map_8n.cpu", "map_1n.cpu", N_LOG_N, 1.25),
    grows("update_8n.cpu", "update_1n.cpu", LOG, 1.25),
    grows("delta_8n.cpu", "delta_1n.cpu", LOG, 1.25),
    grows("text_8n.cpu", "text_1n.cpu", N_LOG_N, 1.25),
    grows("text_edit_10mb.cpu", "text_edit_100kb.cpu", 1.0, 2.0),
    grows("set_8n.instructions", "set_1n.instructions", N_LOG_N, 1.25),
    grows("map_8n.instructions", "map_1n.instructions", N_LOG_N, 1.25),
    grows("update_8n.instructions", "update_1n.instructions", LOG, 1.25),
    grows("delta_8n.instructions", "delta_1n.instructions", LOG, 1.25),
    grows("text_8n.instructions", "text_1n.instructions", N_LOG_N, 1.25),
    grows("text_edit_10mb.instructions", "text_edit_100kb.instructions", 1.0, 2.0),
];

/// The goal of a metric, if it has one.
pub fn of(workload: &str, metric: &str) -> Option<&'static Goal> {
    debug_assert!(workloads::named(workload).is_some());
    ALL.iter().find(|goal| goal.workload == workload && goal.metric == metric)
}
