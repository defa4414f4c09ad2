//! `tombolo up`: runs the node until it is told to stop.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;
use tombolo_sync::Node;

use crate::args::UpArgs;
use crate::execute::Host;
use crate::failure::{Code, Failure, Result};
use crate::home::Home;
use crate::local::Server;
use crate::output::{Output, write_line};
use crate::scrape::Scrapes;
use crate::signal;

/// How long the listeners may take to say where they listen.
const LISTENING: Duration = Duration::from_secs(10);
/// The addresses are complete when there has been no new one for so long.
const SETTLED: Duration = Duration::from_millis(60);

/// Runs the node until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot be started.
pub async fn up(home: &Home, output: Output, args: UpArgs) -> Result<()> {
    if !home.exists() {
        return Err(Failure::no_space(&home.folder));
    }
    // Before anything is started, so that a signal during the start is not lost.
    let stopped = signal::stop()?;
    tokio::pin!(stopped);
    let scrapes = match args.metrics {
        Some(address) => Some(Scrapes::bind(address).await?),
        None => None,
    };
    let mut builder = home.builder().mdns(!args.no_mdns).clock_offset(args.clock_offset);
    if !args.only.is_empty() {
        builder = builder.only(&args.only);
    }
    if !args.listen.is_empty() {
        builder = builder.listen(args.listen.iter().map(ToString::to_string));
    }
    for peer in &args.peer {
        builder = builder.peer(peer.to_string());
    }
    let node = tokio::select! {
        node = home.start(builder) => node?,
        () = &mut stopped => return Ok(()),
    };
    let served = serve(home, output, &node, (args.listen.len().max(1), scrapes), stopped).await;
    node.shutdown().await;
    served
}

async fn serve(
    home: &Home,
    output: Output,
    node: &Node,
    (listeners, scrapes): (usize, Option<Scrapes>),
    mut stopped: Pin<&mut impl Future<Output = ()>>,
) -> Result<()> {
    let server = Server::bind(&home.folder)?;
    let (stop, stopping) = watch::channel(false);
    let host = Host::new(node.clone(), true);
    let ended = Arc::clone(&host.ended);
    let serving = tokio::spawn(server.serve(host, stopping));
    let metrics = scrapes.as_ref().map(|scrapes| scrapes.address);
    let scraping = scrapes.map(|scrapes| tokio::spawn(scrapes.serve(node.clone())));
    let announced = async {
        let listen = listening(node, listeners).await?;
        ready(output, node, &listen, metrics)
    };
    let over = async {
        tokio::select! {
            () = stopped.as_mut() => {}
            () = ended.notified() => {}
        }
    };
    tokio::pin!(over);
    let result = tokio::select! {
        announced = announced => match announced {
            Err(failure) if failure.code != Code::BrokenPipe => Err(failure),
            // Whoever started the node need not go on reading.
            _ => { over.await; Ok(()) }
        },
        () = &mut over => Ok(()),
    };
    let _ = stop.send(true);
    let _ = serving.await;
    if let Some(scraping) = scraping {
        scraping.abort();
    }
    result
}

/// Where the node can be reached, once it can: at `listeners` addresses at least.
async fn listening(node: &Node, listeners: usize) -> Result<Vec<String>> {
    let start = Instant::now();
    let (mut known, mut since) = (Vec::new(), Instant::now());
    loop {
        let now = node.listening();
        if now != known {
            (known, since) = (now, Instant::now());
        }
        if known.len() >= listeners && since.elapsed() >= SETTLED {
            return Ok(known);
        }
        if start.elapsed() > LISTENING {
            let message = "the node does not get to listen; try other addresses with --listen";
            return Err(Failure::new(Code::Address, message));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn ready(output: Output, node: &Node, listen: &[String], metrics: Option<SocketAddr>) -> Result<()> {
    let peer_id = node.peer_id().to_string();
    let metrics = metrics.map(|address| format!("http://{address}/metrics"));
    if output.json {
        let mut event = json!({ "event": "ready", "listen": listen, "peer_id": peer_id });
        if let Some(metrics) = metrics {
            event["metrics"] = json!(metrics);
        }
        return write_line(&event.to_string());
    }
    write_line(&format!("node {}  {peer_id}", node.name()))?;
    for address in listen {
        write_line(&format!("listening on {address}"))?;
    }
    if let Some(metrics) = metrics {
        write_line(&format!("numbers at {metrics}"))?;
    }
    write_line("ready")
}
