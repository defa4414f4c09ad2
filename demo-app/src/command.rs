//! From a verb to what does it.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::CommandFactory as _;
use tokio::runtime::{Builder, Runtime};

use crate::args::{Cli, TextVerb, Verb};
use crate::ask::ask;
use crate::failure::{Code, Failure, Result};
use crate::home::Home;
use crate::output::{Output, write, write_line};
use crate::request::{Request, Whom};
use crate::{demo, edit, figures, follow, inspect, membership, shell, up};

/// Does what the command line says.
///
/// # Errors
/// When it could not be done.
pub fn run(cli: Cli) -> Result<ExitCode> {
    let output = Output { json: cli.common.json };
    let home = || Home::find(cli.common.home.as_deref(), cli.common.wait);
    match cli.verb {
        Verb::Demo(mut args) => {
            args.json = output.json;
            return runtime(&mut Builder::new_multi_thread())?.block_on(demo::run(&args));
        }
        Verb::Figures => {
            let measured = runtime(&mut Builder::new_multi_thread())?.block_on(figures::run(output.json));
            measured.map_err(|why| Failure::new(Code::Failed, why.to_string()))?;
        }
        Verb::Completions { shell } => completions(shell)?,
        Verb::Shell => return shell::run(&home()?, &cli.common),
        Verb::Up(args) => {
            let runtime = runtime(&mut Builder::new_multi_thread())?;
            runtime.block_on(up::up(&home()?, output, args))?;
        }
        mut verb => {
            let home = home()?;
            if let Verb::Text(TextVerb::Insert { content, .. } | TextVerb::Append { content, .. }) = &mut verb
            {
                content.read()?;
            }
            runtime(&mut Builder::new_current_thread())?.block_on(perform(&home, output, verb))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Does what a verb says that is over when it is done.
///
/// # Errors
/// When it could not be done.
pub async fn perform(home: &Home, output: Output, verb: Verb) -> Result<()> {
    let request = match verb {
        Verb::Init(args) => return membership::init(home, output, args).await,
        Verb::Join(args) => return membership::join(home, output, args).await,
        Verb::Renew(args) => return membership::renew(home, output, &args).await,
        Verb::Leave(args) => return membership::leave(home, output, &args).await,
        Verb::Restore(args) => return membership::restore(home, output, &args.file).await,
        Verb::Inspect(args) => return inspect::inspect(output, &args),
        Verb::Watch(args) => return follow::watch(home, output, args.name).await,
        Verb::Status(args) if args.watch => return follow::status(home, output).await,
        Verb::Export => {
            let all = ask(home, &Request::Dump).await?;
            return output.document(&all, || format!("{all:#}\n"));
        }
        Verb::Dump => return write_line(&ask(home, &Request::Dump).await?.to_string()),
        Verb::Text(TextVerb::Edit { name, concern }) => return edit::edit(home, output, name, concern).await,
        Verb::Counter(verb) => Request::Counter(verb),
        Verb::Flag(verb) => Request::Flag(verb),
        Verb::Set(verb) => Request::Set(verb),
        Verb::Register(verb) => Request::Register(verb),
        Verb::Map(verb) => Request::Map(verb),
        Verb::Text(verb) => Request::Text(verb),
        Verb::List(verb) => Request::List(verb),
        Verb::Movable(verb) => Request::Movable(verb),
        Verb::Tree(verb) => Request::Tree(verb),
        Verb::Invite => Request::Invite,
        Verb::Status(args) if args.documents => Request::Documents,
        Verb::Status(_) => Request::Status,
        Verb::Release { peer } => Request::Release { peer },
        Verb::Retention { days } => Request::Retention { days },
        Verb::Wait(args) => Request::Wait { peers: args.peers, timeout: args.timeout },
        Verb::Block(args) => Request::Link { whom: whom(args.peer), blocked: true },
        Verb::Unblock(args) => Request::Link { whom: whom(args.peer), blocked: false },
        Verb::Backup(args) => Request::Backup { file: absolute(&args.file)? },
        Verb::Up(_) | Verb::Shell | Verb::Figures | Verb::Completions { .. } | Verb::Demo(_) => {
            return Err(Failure::new(Code::Unsupported, "this verb works only on a command line of its own"));
        }
    };
    let answer = ask(home, &request).await?;
    if matches!(request, Request::Invite) && answer["addresses"].as_array().is_some_and(Vec::is_empty) {
        output.remark(
            "note: this node never listened, so the ticket names no address; run `tombolo up` once before `invite`, or give the other `up` a --peer",
        );
    }
    output.answer(&request, &answer)
}

fn whom(peer: Option<String>) -> Whom {
    peer.map_or(Whom::All, Whom::Peer)
}

/// The path as a running node sees it, whose working directory is another.
fn absolute(path: &std::path::Path) -> Result<String> {
    let absolute = std::path::absolute(path).map_err(crate::failure::at(path))?;
    absolute.into_os_string().into_string().map_err(|path| {
        Failure::new(Code::Usage, format!("{} is not UTF-8; choose another name", path.display()))
    })
}

/// A runtime for one command.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime(builder: &mut Builder) -> Result<Runtime> {
    builder.enable_all().build().map_err(|why| Failure::io("the program cannot be started", &why))
}

fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tombolo", &mut script);
    write(&String::from_utf8_lossy(&script))?;
    if std::io::stdout().is_terminal() {
        Output { json: false }.remark("note: put this into a file that your shell reads, or `source` it");
    }
    Ok(())
}
