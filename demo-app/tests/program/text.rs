//! Texts on the command line, by real processes: the verbs, and editors that are scripts.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{Ended, Home, Homes, LOOPBACK, PATIENCE};
use serde_json::{Value, json};

/// Runs a command with something on its standard input.
fn run_with_input(home: &Home, arguments: &[&str], input: &[u8]) -> Ended {
    let mut command = home.command(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    ended(child.wait_with_output().unwrap())
}

fn ended(output: std::process::Output) -> Ended {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// An editor: a script that finds the copy's path in `$1`, and the program with its home in `tombolo`.
struct Editor {
    script: PathBuf,
    /// Where copies are made.
    copies: PathBuf,
}

impl Editor {
    fn new(homes: &Homes, home: &Home, lines: &str) -> Self {
        let (script, copies) = (homes.path().join("an editor"), homes.path().join("copies"));
        let program = home.command(&[]).get_program().to_str().unwrap().to_owned();
        let path = home.path.to_str().unwrap();
        let tombolo = format!("tombolo() {{ '{program}' --home '{path}' \"$@\" >/dev/null; }}");
        std::fs::write(&script, format!("#!/bin/sh\nset -e\n{tombolo}\n{lines}\n")).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
        let _ = std::fs::create_dir(&copies);
        Self { script, copies }
    }

    /// A command that edits with it. Its path has a space in it.
    fn command(&self, home: &Home, arguments: &[&str]) -> Command {
        let mut command = home.command(&[&["text", "edit"], arguments].concat());
        command.env_remove("VISUAL").env("EDITOR", format!("'{}'", self.script.display()));
        command.env("TMPDIR", &self.copies);
        command
    }

    fn run(&self, home: &Home, arguments: &[&str]) -> Ended {
        ended(self.command(home, arguments).output().unwrap())
    }

    /// What is left of copies: their paths.
    fn kept(&self) -> Vec<PathBuf> {
        let inside = |folder: PathBuf| std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        inside(self.copies.clone()).flat_map(inside).collect()
    }
}

fn read(home: &Home, name: &str) -> String {
    crate::common::text_of(&home.json(&["text", "get", name])["value"]).to_owned()
}

/// Every verb but `edit`, with the exact answers.
fn every_verb(home: &Home) {
    let says = |arguments: &[&str], expected: Value| {
        assert_eq!(home.json(&[&["text"], arguments].concat()), expected, "{arguments:?}");
    };
    says(&["get", "notes"], json!({ "value": "" }));
    says(&["delete", "notes", "0", "0"], json!({ "length": 0 }));
    says(&["append", "notes", ""], json!({ "length": 0 }));
    assert_eq!(home.json(&["dump"]), json!({}), "nothing has been made of nothing");
    says(&["insert", "notes", "0", "tide"], json!({ "length": 4 }));
    says(&["insert", "notes", "0", "The "], json!({ "length": 8 }));
    says(&["append", "notes", " falls.\n"], json!({ "length": 16 }));
    says(&["insert", "notes", "4", "spring "], json!({ "length": 23 }));
    says(&["get", "notes"], json!({ "value": "The spring tide falls.\n" }));
    says(&["delete", "notes", "0", "11"], json!({ "length": 12 }));
    says(&["delete", "notes", "12", "0"], json!({ "length": 12 }));
    says(&["insert", "notes", "12", "-5"], json!({ "length": 14 }));
    says(&["get", "notes"], json!({ "value": "tide falls.\n-5" }));
    says(&["append", "board/garden/notes.md", "Roses"], json!({ "length": 5 }));
    says(&["insert", "board/garden/notes.md", "5", ", late"], json!({ "length": 11 }));
    says(&["delete", "board/garden/notes.md", "0", "7"], json!({ "length": 4 }));
    says(&["get", "board/garden/notes.md"], json!({ "value": "late" }));
    says(&["get", "board/garden/other"], json!({ "value": "" }));
    home.json(&["counter", "inc", "visits"]);
    let all = json!({
        "board": { "map": { "garden": { "map": { "notes.md": { "text": "late" } } } } },
        "notes": { "text": "tide falls.\n-5" },
        "visits": { "counter": 1 },
    });
    assert_eq!(home.json(&["dump"]), all);

    for (arguments, code) in [
        (&["text", "get", "visits"][..], "wrong_type"),
        (&["text", "append", "visits", "x"], "wrong_type"),
        (&["text", "get", "board"], "wrong_type"),
        (&["text", "append", "board/garden", "x"], "wrong_type"),
        (&["counter", "inc", "notes"], "wrong_type"),
        (&["register", "set", "board/garden/notes.md", "x"], "wrong_type"),
        (&["text", "insert", "notes", "15", "x"], "out_of_range"),
        (&["text", "delete", "notes", "14", "1"], "out_of_range"),
        (&["text", "delete", "notes", "13", "2"], "out_of_range"),
        (&["text", "delete", "notes", "1", "18446744073709551615"], "out_of_range"),
        (&["text", "insert", "board/garden/notes.md", "5", "x"], "out_of_range"),
        (&["text", "insert", "other", "1", "x"], "out_of_range"),
        (&["text", "delete", "other", "0", "1"], "out_of_range"),
        (&["text", "insert", "board/far/away", "1", "x"], "out_of_range"),
        (&["text", "delete", "board/far/away", "0", "1"], "out_of_range"),
    ] {
        assert_eq!(home.refused(arguments, 1), code, "{arguments:?}");
    }
    assert_eq!(home.json(&["dump"]), all, "what is refused changes nothing and makes nothing");
    let documents = home.json(&["status", "--documents"]);
    assert!(documents.as_array().unwrap().iter().any(|it| it["name"] == "notes" && it["type"] == "text"));
}

#[test]
fn every_verb_works_without_a_node_and_says_the_same_with_one() {
    crate::common::without_a_node_and_with_one(every_verb);
}

#[test]
fn people_read_the_text_and_how_long_it_is() {
    let homes = Homes::new();
    let home = homes.created("ann");
    assert_eq!(home.text(&["text", "get", "notes"]), "");
    assert_eq!(home.text(&["text", "append", "notes", "One"]), "inserted; it has 3 characters now\n");
    assert_eq!(home.text(&["text", "get", "notes"]), "One\n");
    assert_eq!(home.text(&["text", "append", "notes", "\nTwo\n"]), "inserted; it has 8 characters now\n");
    assert_eq!(home.text(&["text", "get", "notes"]), "One\nTwo\n");
    assert_eq!(home.text(&["text", "delete", "notes", "1", "7"]), "deleted; it has 1 character now\n");
    let beyond = home.run(&["text", "insert", "notes", "7", "x"]);
    assert_eq!((beyond.code, &beyond.stdout[..]), (Some(1), ""));
    let expected = "error: `notes` is 1 character (Unicode scalar value) long, so there is no place 7 in it: places go from 0 to 1\n";
    assert_eq!(beyond.stderr, expected);
    let beyond = home.run(&["text", "delete", "other", "2", "3"]);
    let expected = "error: `other` is 0 characters (Unicode scalar values) long, so 3 from place 2 on cannot be deleted\n";
    assert_eq!(beyond.stderr, expected);
    for arguments in [
        &["insert", "notes", "-1", "x"][..],
        &["insert", "notes", "x"],
        &["insert", "notes", "1.5", "x"],
        &["delete", "notes", "0"],
        &["delete", "notes", "0", "-1"],
        &["append", "notes"],
        &["edit"],
    ] {
        assert_eq!(home.refused(&[&["text"], arguments].concat(), 2), "usage", "{arguments:?}");
    }
    let help = home.text(&["text", "--help"]);
    assert!(["insert", "append", "delete", "get", "edit"].iter().all(|verb| help.contains(verb)), "{help}");
}

#[test]
fn places_count_scalars_whatever_they_look_like() {
    let homes = Homes::new();
    let home = homes.created("ann");
    // é as one scalar, é as two, a bird of four bytes, a family of five scalars.
    let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
    let whole = format!("\u{e9}e\u{301}\u{1f426}{family}.");
    assert_eq!(home.json(&["text", "append", "notes", &whole]), json!({ "length": 10 }));
    assert_eq!(home.json(&["text", "insert", "notes", "4", "|"]), json!({ "length": 11 }));
    assert_eq!(read(&home, "notes"), format!("\u{e9}e\u{301}\u{1f426}|{family}."));
    assert_eq!(home.json(&["text", "delete", "notes", "1", "3"]), json!({ "length": 8 }));
    assert_eq!(read(&home, "notes"), format!("\u{e9}|{family}."));
    assert_eq!(home.refused(&["text", "insert", "notes", "9", "x"], 1), "out_of_range");
    let editor = Editor::new(&homes, &home, r#"sed -i 's/|/ö|/; s/\./ ende./' "$1""#);
    assert_eq!(editor.run(&home, &["notes"]).code, Some(0));
    assert_eq!(read(&home, "notes"), format!("\u{e9}\u{f6}|{family} ende."));
}

#[test]
fn a_hyphen_is_what_standard_input_holds_to_the_last_byte() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let append = |input: &[u8]| run_with_input(&home, &["--json", "text", "append", "notes", "-"], input);
    assert_eq!(append(b"One\n  two\n").stdout, "{\"length\":10}\n");
    assert_eq!(append(b"-").stdout, "{\"length\":11}\n");
    assert_eq!(run_with_input(&home, &["text", "insert", "notes", "0", "-"], "é".as_bytes()).code, Some(0));
    assert_eq!(read(&home, "notes"), "éOne\n  two\n-");
    let wrong = append(&[0xff, 0xfe]);
    assert_eq!((wrong.code, wrong.stderr.contains("standard input cannot be read")), (Some(1), true));
    // More than a running node takes at a time is said to be so.
    let _node = home.up();
    let long = append(&vec![b'x'; 17 << 20]);
    assert_eq!(
        (long.code, long.stderr.contains("more than the 16 MiB that a running node takes at once")),
        (Some(1), true),
        "{long:?}"
    );
    assert_eq!(read(&home, "notes"), "éOne\n  two\n-");
}

#[test]
fn the_prompt_takes_texts_but_not_from_its_own_input() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let script = "text append notes 'One\ntext append notes One\ntext get notes\ntext append notes -\ntext get notes --json\n";
    let shell = run_with_input(&home, &["shell"], script.as_bytes());
    assert_eq!(shell.code, Some(1));
    assert_eq!(shell.stdout, "inserted; it has 3 characters now\nOne\n{\"value\":\"One\"}\n");
    assert!(
        shell.stderr.contains("not closed") && shell.stderr.contains("command line of its own"),
        "{shell:?}"
    );
    let editor = Editor::new(&homes, &home, r#"echo two >>"$1""#);
    let mut command = editor.command(&home, &[]);
    let at = command.get_args().count() - 2;
    let arguments: Vec<_> = command.get_args().take(at).map(ToOwned::to_owned).collect();
    let mut shell = Command::new(command.get_program());
    shell.args(arguments).arg("shell").stdin(Stdio::piped()).stdout(Stdio::piped());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null());
    let mut child = shell.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"text edit notes\n").unwrap();
    let output = ended(child.wait_with_output().unwrap());
    assert_eq!((output.code, &output.stdout[..]), (Some(0), "edited; it has 6 characters now\n"));
    assert_eq!(read(&home, "notes"), "Onetwo");
}

#[test]
fn an_editor_makes_of_a_copy_what_the_text_is_then() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let editor = Editor::new(&homes, &home, "printf 'One\\ntwo\\n' >\"$1\"; cp \"$1\" \"$1.orig\"");
    let edited = editor.run(&home, &["notes", "--json"]);
    assert_eq!(
        (edited.code, &edited.stdout[..]),
        (Some(0), "{\"changed\":true,\"length\":8}\n"),
        "{edited:?}"
    );
    assert_eq!(read(&home, "notes"), "One\ntwo\n");
    let again = editor.run(&home, &["notes", "--json"]);
    assert_eq!(again.stdout, "{\"changed\":false,\"length\":8}\n");
    assert_eq!(editor.run(&home, &["notes"]).stdout, "nothing changed; it has 8 characters now\n");
    // The copy is called as the text is, and holds what it held; $VISUAL comes before $EDITOR, and both may have arguments.
    home.json(&["text", "append", "board/to do.md", "milk\n"]);
    let editor = Editor::new(&homes, &home, "[ \"$1\" = --wait ]; basename \"$2\" >>\"$2\"");
    let mut command = editor.command(&home, &["board/to do.md"]);
    command.env("VISUAL", format!("'{}' --wait", editor.script.display())).env("EDITOR", "false");
    assert_eq!(ended(command.output().unwrap()).stdout, "edited; it has 14 characters now\n");
    assert_eq!(read(&home, "board/to do.md"), "milk\nto_do.md\n");
    assert_eq!(editor.kept(), Vec::<PathBuf>::new());
}

#[test]
fn a_line_break_that_the_editor_adds_by_itself_is_left_out() {
    let homes = Homes::new();
    let home = homes.created("ann");
    home.json(&["text", "append", "notes", "One"]);
    let touch = Editor::new(&homes, &home, r#"echo >>"$1""#);
    assert_eq!(touch.run(&home, &["notes"]).stdout, "nothing changed; it has 3 characters now\n");
    let write_on = Editor::new(&homes, &home, r#"echo ' and two' >>"$1""#);
    assert_eq!(write_on.run(&home, &["notes"]).code, Some(0));
    assert_eq!(read(&home, "notes"), "One and two");
    home.json(&["text", "append", "notes", "\n"]);
    assert_eq!(write_on.run(&home, &["notes"]).code, Some(0));
    assert_eq!(read(&home, "notes"), "One and two\n and two\n");
}

/// Ann edits while somebody else changes the text around and within what she edits.
fn edit_beside_others(homes: &Homes, home: &Home, others: &str) {
    home.json(&["text", "append", "notes", "Buy milk.\nThe tide falls.\nWater the roses.\n"]);
    let lines = format!(
        "{others}\nsed -i 's/falls/turns/; /roses/d; s/Buy/Please buy/' \"$1\"\nprintf 'Late.\\n' >>\"$1\""
    );
    let editor = Editor::new(homes, home, &lines);
    let edited = editor.run(home, &["notes"]);
    assert_eq!(edited.code, Some(0), "{edited:?}");
    assert_eq!(editor.kept(), Vec::<PathBuf>::new());
}

const OTHERS: &str = "tombolo text insert notes 0 'Monday.\n'
tombolo text insert notes 26 ' at noon'
tombolo text append notes 'Call Ann.\n'
tombolo text delete notes 11 5";
const BOTH: &str = "Monday.\nPlease buy.\nThe tide at noon turns.\nLate.\nCall Ann.\n";

#[test]
fn what_others_write_while_an_editor_runs_stays() {
    let homes = Homes::new();
    let home = homes.created("ann");
    edit_beside_others(&homes, &home, OTHERS);
    assert_eq!(read(&home, "notes"), BOTH);
}

#[test]
fn what_others_write_through_a_node_while_an_editor_runs_stays() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let _ann_up = ann.up();
    let bob = homes.joined("bob", &ann);
    let _bob_up = bob.up();
    bob.json(&["wait"]);
    let theirs = OTHERS.replace("tombolo ", "bob ");
    let program = bob.command(&[]).get_program().to_str().unwrap().to_owned();
    let path = bob.path.to_str().unwrap();
    let bob_writes = format!(
        "bob() {{ '{program}' --home '{path}' \"$@\" >/dev/null; }}\nbob wait\n{theirs} --replicated 1\ntombolo wait"
    );
    edit_beside_others(&homes, &ann, &bob_writes);
    for home in [&ann, &bob] {
        home.until(&["text", "get", "notes"], |answer| answer["value"] == BOTH);
    }
}

#[test]
fn a_node_may_come_and_go_while_an_editor_runs() {
    let homes = Homes::new();
    let home = homes.created("ann");
    home.json(&["text", "append", "notes", "One.\nTwo.\n"]);
    let wait = homes.path().join("go on");
    let lines = format!(
        "touch \"$1.open\"\nwhile ! [ -e '{}' ]; do sleep 0.05; done\nsed -i 's/Two/Three/' \"$1\"",
        wait.display()
    );
    let editor = Editor::new(&homes, &home, &lines);
    let edit = || {
        let _ = std::fs::remove_file(&wait);
        let mut command = editor.command(&home, &["notes"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let start = std::time::Instant::now();
        while editor.kept().len() < 2 {
            assert!(start.elapsed() < PATIENCE, "no editor");
            std::thread::sleep(Duration::from_millis(20));
        }
        child
    };
    let goes_on = |child: std::process::Child| {
        std::fs::write(&wait, "").unwrap();
        let output = ended(child.wait_with_output().unwrap());
        assert_eq!(output.code, Some(0), "{output:?}");
    };
    let child = edit();
    let node = home.up();
    home.json(&["text", "insert", "notes", "0", "Zero.\n"]);
    goes_on(child);
    assert_eq!(read(&home, "notes"), "Zero.\nOne.\nThree.\n");
    home.json(&["text", "append", "notes", "Two.\n"]);
    let child = edit();
    home.json(&["text", "delete", "notes", "0", "6"]);
    assert_eq!(node.stop().code, Some(0));
    goes_on(child);
    assert_eq!(read(&home, "notes"), "One.\nThree.\nThree.\n");
}

#[test]
fn where_an_editor_fails_nothing_changes_and_the_copy_is_kept() {
    let homes = Homes::new();
    let home = homes.created("ann");
    home.json(&["text", "append", "notes", "One.\n"]);
    let kept = |editor: &Editor, ended: Ended, code: &str, what: &str, holds: &[u8]| {
        assert_eq!((ended.code, &ended.stdout[..]), (Some(1), ""));
        let error: Value = serde_json::from_str(&ended.stderr).unwrap();
        assert_eq!(error["error"]["code"], code);
        let message = crate::common::text_of(&error["error"]["message"]);
        assert!(message.contains(what), "{message}");
        let copy = editor.kept().pop().expect("a copy");
        assert!(message.ends_with(copy.to_str().unwrap()), "{message}");
        assert_eq!(std::fs::read(&copy).unwrap(), holds);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(copy.parent().unwrap()) & 0o077, 0, "nobody else may read it");
        std::fs::remove_dir_all(copy.parent().unwrap()).unwrap();
        assert_eq!(read(&home, "notes"), "One.\n");
    };
    let edit = ["notes", "--json"];
    let fails = Editor::new(&homes, &home, "echo Two. >>\"$1\"; exit 3");
    kept(&fails, fails.run(&home, &edit), "editor", "exit status: 3", b"One.\nTwo.\n");
    let killed = Editor::new(&homes, &home, "echo Two. >>\"$1\"; kill -9 $$");
    kept(&killed, killed.run(&home, &edit), "editor", "signal: 9", b"One.\nTwo.\n");
    let mut command = fails.command(&home, &edit);
    let missing = ended(command.env("EDITOR", "no-such-editor -w").output().unwrap());
    kept(&fails, missing, "editor", "`no-such-editor -w` (EDITOR) cannot be started", b"One.\n");
    let mut command = fails.command(&home, &edit);
    let open = ended(command.env("EDITOR", "vi 'x").output().unwrap());
    kept(&fails, open, "editor", "the quote ' is not closed", b"One.\n");
    let garbles = Editor::new(&homes, &home, "printf '\\377' >\"$1\"");
    kept(&garbles, garbles.run(&home, &edit), "io", "UTF-8", b"\xff");
    // In the meantime the name has become something else, or there is no home any more.
    let other = Editor::new(&homes, &home, "echo Two. >>\"$1\"; tombolo counter inc board/x");
    let ended = other.run(&home, &["board/x", "--json"]);
    kept(&other, ended, "wrong_type", "board/x", b"Two.\n");
    let alone = fails.run(&home, &["notes", "--replicated", "1", "--json"]);
    assert!(alone.stderr.contains("not_running"), "nobody could be asked, which is said at once: {alone:?}");
    assert_eq!(fails.kept(), Vec::<PathBuf>::new());
    // A copy that the editor took away is not said to be kept.
    let takes = Editor::new(&homes, &home, "rm \"$1\"");
    let taken = takes.run(&home, &edit);
    assert!(taken.stderr.contains("what the editor") && !taken.stderr.contains("kept"), "{}", taken.stderr);
    assert_eq!(takes.kept(), Vec::<PathBuf>::new());
}

#[test]
fn who_interrupts_an_editor_does_not_end_the_edit() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let editor = Editor::new(&homes, &home, "kill -INT $PPID\nsleep 0.3\necho One. >>\"$1\"");
    assert_eq!(editor.run(&home, &["notes"]).code, Some(0));
    assert_eq!(read(&home, "notes"), "One.\n");
}

#[test]
fn without_an_editor_named_it_is_vi() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let editor = Editor::new(&homes, &home, "echo 'by vi' >>\"$1\"");
    let bin = homes.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::copy(&editor.script, bin.join("vi")).unwrap();
    let path = std::env::join_paths(
        [bin].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let mut command = editor.command(&home, &["notes"]);
    let edited = ended(command.env("PATH", path.unwrap()).env("EDITOR", " ").output().unwrap());
    assert_eq!(edited.code, Some(0), "{edited:?}");
    assert_eq!(read(&home, "notes"), "by vi\n");
}

#[test]
fn what_two_write_offline_is_all_there_and_changes_are_seen_as_they_arrive() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let ann_up = ann.up();
    let bob = homes.joined("bob", &ann);
    ann.json(&["text", "append", "notes", "The tide falls.\n"]);
    {
        let _bob_up = bob.up();
        bob.until(&["text", "get", "notes"], |answer| answer["value"] == "The tide falls.\n");
        bob.json(&["wait"]);
    }
    bob.json(&["text", "insert", "notes", "4", "spring "]);
    ann.json(&["text", "delete", "notes", "9", "5"]);
    ann.json(&["text", "insert", "notes", "9", "rises"]);
    let mut watch = ann.command(&["--json", "watch", "notes"]).stdout(Stdio::piped()).spawn().unwrap();
    let (sender, changes) = std::sync::mpsc::channel::<String>();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let view: Value = serde_json::from_str(&changes.recv_timeout(PATIENCE).expect("what there is")).unwrap();
    assert_eq!((&view["value"], &view["origin"]), (&json!("The tide rises.\n"), &json!("view")));
    let _bob_up = bob.up_with(&["--listen", LOOPBACK, "--peer", ann_up.ready["listen"][0].as_str().unwrap()]);
    let expected = json!({
        "name": "notes", "type": "text", "value": "The spring tide rises.\n", "origin": bob.peer_id(), "peer": "bob",
    });
    loop {
        let line = changes.recv_timeout(PATIENCE).expect("a change");
        let mut change: Value = serde_json::from_str(&line).unwrap();
        change.as_object_mut().unwrap().remove("different");
        if change == expected {
            break;
        }
    }
    bob.until(&["text", "get", "notes"], |answer| answer["value"] == "The spring tide rises.\n");
    let held = ann.text(&["text", "append", "notes", "Noon.\n", "--replicated", "1"]);
    assert_eq!(held, "inserted; it has 29 characters now\nheld by bob\n");
    let editor = Editor::new(&homes, &ann, "echo Night. >>\"$1\"");
    let held = editor.run(&ann, &["notes", "--replicated", "1"]);
    assert_eq!(held.stdout, "edited; it has 36 characters now\nheld by bob\n");
    assert_eq!(ann.text(&["dump"]), bob.text(&["dump"]));
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn parts_are_marked_and_what_is_typed_within_them_as_well() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let length = json!({ "length": 15 });
    home.json(&["text", "append", "notes", "The tide falls."]);
    assert_eq!(home.json(&["text", "mark", "notes", "4", "4", "bold"]), length);
    assert_eq!(home.json(&["text", "mark", "notes", "9", "5", "link", "https://tide.example"]), length);
    home.json(&["text", "insert", "notes", "6", "++"]);
    let marked = json!({ "value": [
        { "text": "The ", "marks": {} },
        { "text": "ti++de", "marks": { "bold": true } },
        { "text": " ", "marks": {} },
        { "text": "falls", "marks": { "link": "https://tide.example" } },
        { "text": ".", "marks": {} },
    ] });
    assert_eq!(home.json(&["text", "runs", "notes"]), marked);
    assert_eq!(home.json(&["text", "unmark", "notes", "0", "17", "link"]), json!({ "length": 17 }));
    assert_eq!(home.text(&["text", "runs", "notes"]), "\"The \"\n\"ti++de\"  bold\n\" falls.\"\n");
    assert_eq!(
        home.text(&["text", "mark", "notes", "0", "3", "level", "2"]),
        "marked; it has 17 characters now\n"
    );
    assert_eq!(home.json(&["text", "runs", "notes"])["value"][0]["marks"], json!({ "level": 2 }));
    assert_eq!(home.json(&["text", "runs", "other"]), json!({ "value": [] }));
    for arguments in
        [&["text", "mark", "notes", "16", "2", "bold"][..], &["text", "unmark", "other", "0", "1", "bold"]]
    {
        assert_eq!(home.refused(arguments, 1), "out_of_range", "{arguments:?}");
    }
}

#[test]
fn lines_are_blocks_and_texts_come_and_go_as_markdown_and_as_deltas() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let markdown = "# Tides\n\nThe **spring** tide\n\n- falls\n- [rises](<https://tide.example>)\n";
    home.json(&["text", "append", "notes", markdown, "--markdown"]);
    assert_eq!(read(&home, "notes"), "Tides\nThe spring tide\nfalls\nrises\n");
    assert_eq!(home.text(&["text", "get", "notes", "--as", "markdown"]), markdown);
    home.json(&["text", "block", "notes", "0", "0", "h2"]);
    home.json(&["text", "block", "notes", "22", "12", "task", "--indent", "1"]);
    let delta = home.json(&["text", "get", "notes", "--as", "quill"])["value"].clone();
    assert_eq!(delta["ops"][0], json!({ "insert": "Tides" }));
    assert_eq!(delta["ops"][1], json!({ "insert": "\n", "attributes": { "header": 2 } }));
    assert_eq!(delta["ops"][3], json!({ "insert": "spring", "attributes": { "bold": true } }));
    let task = json!({ "insert": "\n", "attributes": { "list": "unchecked", "indent": 1 } });
    assert_eq!(delta["ops"].as_array().unwrap().last(), Some(&task));
    assert_eq!(home.json(&["text", "get", "other", "--as", "quill"]), json!({ "value": { "ops": [] } }));
    assert_eq!(home.json(&["text", "get", "other", "--as", "markdown"]), json!({ "value": "" }));
    assert_eq!(home.refused(&["text", "block", "notes", "99", "0", "h1"], 1), "out_of_range");
    assert_eq!(home.refused(&["text", "block", "other", "0", "0", "h1"], 1), "out_of_range");
}
