//! `inspect --salvage`: a new file with what is right.

use std::path::Path;

use serde_json::json;
use tombolo_sync::store::{InspectedStore, Salvaged, StoreError};

use super::grouped;
use super::store::Known;
use crate::failure::{Code, Failure, Result};
use crate::output::{Output, table};

/// Records without which a restored home is nobody, or nowhere.
const NEEDED: [(&str, &str); 2] = [
    (
        "space/secret",
        "the space's secret is lost: after `restore` says so, `tombolo join TICKET` lets the home in again",
    ),
    ("identity/key", "the node's key is lost: the home gets a new one, and others know it by that"),
];

pub(super) fn salvage(
    output: Output,
    store: &InspectedStore,
    documents: &[Known<'_>],
    out: &Path,
    parts: bool,
) -> Result<()> {
    if out.symlink_metadata().is_ok() {
        let message = format!("{} exists already; name a file that does not", out.display());
        return Err(Failure::new(Code::Exists, message));
    }
    let mut salvaged = store.salvage(out, parts).map_err(|why| match why {
        StoreError::Io(why) => Failure::io(out.display(), &why),
        why => Failure::from(why),
    })?;
    // In the order in which they are listed elsewhere.
    salvaged.sort_by_key(|saved| documents.iter().position(|known| known.id == saved.doc));
    let title = |saved: &Salvaged| {
        let known = documents.iter().find(|known| known.id == saved.doc);
        known.map_or_else(String::new, Known::title)
    };
    let wrong_records = store.records.iter().filter(|record| record.content.is_none()).count();
    let kept_records = store.records.len() - wrong_records;
    let lost_records = store.records_missing + wrong_records as u64;
    let is_right =
        |name: &str| store.records.iter().any(|record| record.key == name && record.content.is_some());
    let remarks: Vec<&str> =
        NEEDED.iter().filter(|(name, _)| !is_right(name)).map(|(_, remark)| *remark).collect();
    let saved_json = |saved: &Salvaged| {
        json!({
            "id": saved.doc.to_string(), "name": title(saved), "whole": saved.is_whole(), "part": saved.is_part,
            "slices": saved.slices, "slices_lost": saved.slices_lost,
            "records": saved.records, "records_lost": saved.records_lost, "dots": saved.dots,
        })
    };
    let answer = json!({
        "kind": "salvage",
        "file": out.to_string_lossy(),
        "documents": salvaged.iter().map(saved_json).collect::<Vec<_>>(),
        "records": kept_records,
        "records_lost": lost_records,
        "problems": store.problems,
        "remarks": remarks,
    });
    output.document(&answer, || {
        let head = ["document", "id", "slices", "lost", "log", "lost", "dots", ""];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(salvaged.iter().map(|saved| row(&title(saved), saved)));
        let mut text = table(&rows);
        let kept = grouped(kept_records as u64);
        text.push_str(&format!("\nnamed records: {kept} saved, {} lost\n", grouped(lost_records)));
        for remark in remarks.iter().copied().chain(advice(&salvaged, parts)) {
            text.push_str(&format!("note: {remark}\n"));
        }
        text.push_str(&format!(
            "written to {}\nnext: `tombolo --home NEW restore` with this file, then `tombolo --home NEW up`\n",
            out.display()
        ));
        text
    })
}

fn row(title: &str, saved: &Salvaged) -> Vec<String> {
    let became = match (saved.slices, saved.records) {
        _ if saved.is_whole() => "whole",
        (0, 0) if saved.is_part => "left out",
        (0, 0) => "nothing",
        (1.., _) if saved.is_part => "a part",
        _ => "as it once was",
    };
    let [slices, slices_lost, records, records_lost] =
        [saved.slices, saved.slices_lost, saved.records, saved.records_lost].map(grouped);
    let dots = grouped(saved.dots);
    let id = format!("{:?}", saved.doc);
    vec![title.to_owned(), id, slices, slices_lost, records, records_lost, dots, became.to_owned()]
}

/// What to know about documents that are not whole.
fn advice(salvaged: &[Salvaged], parts: bool) -> Option<&'static str> {
    let is_part = salvaged.iter().any(|saved| saved.is_part);
    match (is_part, parts) {
        (false, _) => None,
        (true, false) => Some(
            "what is left out comes whole from the others of the space; only if nobody else has it, save what is before the damage with --parts",
        ),
        (true, true) => Some(
            "parts are for when nobody else has these documents: with others that have them, they would differ for ever",
        ),
    }
}
