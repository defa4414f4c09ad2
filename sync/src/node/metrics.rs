//! A node's numbers for Prometheus: the engine's, read when they are asked for.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::Node;
use super::driver::Shared;
use crate::engine::Frames;

impl Node {
    /// The node's numbers as text, in the [OpenMetrics] format that Prometheus reads: what to answer a scrape with, with the content
    /// type `application/openmetrics-text; version=1.0.0; charset=utf-8`. Empty but for its end once the node has been shut down.
    ///
    /// Counters begin at 0 when the node is started, and all names begin with `tombolo_`. Costs about as much as
    /// [`status`](Self::status). Peers are labelled by their keys; nothing of any document is told but how many there are.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> tombolo_sync::Result<()> {
    /// # let home = tempfile::tempdir().expect("a folder");
    /// # let node = tombolo_sync::Node::builder(home.path()).no_witness().create().offline().start().await?;
    /// assert!(node.metrics().contains("tombolo_peers_connected 0"));
    /// # node.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// [OpenMetrics]: https://prometheus.io/docs/specs/om/open_metrics_spec/
    #[must_use]
    pub fn metrics(&self) -> String {
        let mut registry = Registry::default();
        self.register_metrics(&mut registry);
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = text::encode(&mut text, &registry);
        text
    }

    /// Adds the node's numbers to a registry of the application's, which asks for them at each scrape. It does not keep the node
    /// alive: of one that has been shut down nothing is told any more. An application with several nodes gives each a
    /// registry of its own, or one with a prefix or a label.
    ///
    /// ```
    /// use tombolo_sync::prometheus_client::registry::Registry;
    ///
    /// # #[tokio::main] async fn main() -> tombolo_sync::Result<()> {
    /// # let home = tempfile::tempdir().expect("a folder");
    /// # let node = tombolo_sync::Node::builder(home.path()).no_witness().create().offline().start().await?;
    /// let mut registry = Registry::with_prefix("garden");
    /// node.register_metrics(&mut registry);
    /// # node.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub fn register_metrics(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(Numbers {
            shared: Arc::downgrade(&self.shared),
            file: crate::store::RedbStore::file_in(&self.folder),
        }));
    }
}

/// What is asked at a scrape.
struct Numbers {
    shared: Weak<Shared>,
    /// The store's file.
    file: PathBuf,
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Numbers").finish_non_exhaustive()
    }
}

impl Collector for Numbers {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(shared) = self.shared.upgrade().filter(|shared| !shared.is_stopped()) else { return Ok(()) };
        let (counts, gauges) = shared.look(|engine| (engine.counts().clone(), engine.gauges()));
        let mut families = Families(encoder);
        families.gauge(
            "peers_known",
            "Peers that have proved that they belong to the space",
            gauges.peers_known,
        )?;
        families.gauge("peers_connected", "Peers with a session", gauges.lag.len())?;
        families.gauge("documents", "Documents that are listed", gauges.documents)?;
        families.gauge(
            "pending_deltas",
            "Deltas that wait for what they depend on",
            gauges.pending_deltas,
        )?;
        families.gauge(
            "diverged_documents",
            "Documents of which a peer holds something else under the same names of events",
            gauges.diverged_documents,
        )?;
        families.gauge("batches_in_flight", "Batches on their way to the disk", gauges.batches_in_flight)?;
        families.gauge("removals_remembered", "Removals that documents remember", gauges.removals)?;
        families.lag(&gauges.lag)?;
        // One that cannot be asked is of no known size.
        if let Ok(metadata) = std::fs::metadata(&self.file) {
            families.bytes("store", "Size of the store's file", metadata.len())?;
        }
        families.bytes_counted("received", "Bytes of frames from peers, gossip apart", counts.bytes_in)?;
        families.bytes_counted("sent", "Bytes of frames to peers, gossip apart", counts.bytes_out)?;
        families.frames("frames_received", "Frames from peers", &counts.frames_in)?;
        families.frames("frames_sent", "Frames to peers", &counts.frames_out)?;
        families.counter(
            "commits_durable",
            "Writes of this node that became durable",
            counts.commits_durable,
        )?;
        families.counter(
            "commits_refused",
            "Writes that the disk refused, undone",
            counts.commits_refused,
        )?;
        families.counter("pushes", "Groups of writes that were pushed to peers", counts.pushes)?;
        families.counter(
            "gossip_dropped",
            "Gossip payloads that came faster than they were read",
            shared.gossip_dropped(),
        )?;
        families.counter("pulls", "Questions to peers for what is lacked of a document", counts.pulls)?;
        families.counter(
            "pulls_fruitless",
            "Answers that did not bring what was promised",
            counts.pulls_fruitless,
        )?;
        families.counter("repairs", "Answers that brought something new", counts.repairs)
    }
}

/// Writes one family after the other.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn one(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        metric: &impl EncodeMetric,
    ) -> fmt::Result {
        let name = format!("tombolo_{name}");
        metric.encode(self.0.encode_descriptor(&name, help, unit, metric.metric_type())?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: usize) -> fmt::Result {
        self.one(name, help, None, &ConstGauge::new(signed(value as u64)))
    }

    fn bytes(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.one(name, help, Some(&Unit::Bytes), &ConstGauge::new(signed(value)))
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.one(name, help, None, &ConstCounter::new(value))
    }

    fn bytes_counted(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.one(name, help, Some(&Unit::Bytes), &ConstCounter::new(value))
    }

    fn frames(&mut self, name: &str, help: &str, frames: &Frames) -> fmt::Result {
        let (name, kind) = (format!("tombolo_{name}"), ConstCounter::new(0_u64).metric_type());
        let mut family = self.0.encode_descriptor(&name, help, None, kind)?;
        for (kind, count) in frames.iter() {
            ConstCounter::new(count).encode(family.encode_family(&[("kind", kind)])?)?;
        }
        Ok(())
    }

    fn lag(&mut self, lag: &[(crate::PeerId, u64)]) -> fmt::Result {
        let help = "Items that a connected peer has not acknowledged as durable";
        let kind = ConstGauge::new(0_i64).metric_type();
        let mut family = self.0.encode_descriptor("tombolo_lag_items", help, None, kind)?;
        for (peer, items) in lag {
            let gauge = ConstGauge::new(signed(*items));
            gauge.encode(family.encode_family(&[("peer", peer.to_string())])?)?;
        }
        Ok(())
    }
}

/// As gauges have it.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
