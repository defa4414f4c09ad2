//! `diamond-types`: a list of operations and the text they give. It keeps the full history, in memory and saved.
//!
//! It knows no transactions: an edit is one, as in its own benchmark. A difference is a patch since a version.

use diamond_types::AgentId;
use diamond_types::list::ListCRDT;
use diamond_types::list::encoding::{ENCODE_FULL, ENCODE_PATCH, EncodeOptions};
use diamond_types::list::operation::Operation;
use diamond_types::list::remote_ids::RemoteId;

use crate::system::{Edit, Na, Remark, Replicated, System, Text};

/// The crate.
pub struct DiamondTypes;

impl System for DiamondTypes {
    fn name(&self) -> &'static str {
        "diamond-types"
    }

    fn takes_part(&self, workload: &str) -> bool {
        workload == "text"
    }

    fn remarks(&self) -> &'static [Remark] {
        &[
            Remark { place: "text/one_tx", same_promise: true, text: "has no transactions: edit by edit" },
            Remark { place: "text/save", same_promise: true, text: "the full history, lz4 in it already" },
        ]
    }

    fn text(&self, replica: u64) -> Na<Box<dyn Text>> {
        Ok(Box::new(Writing::new(replica)))
    }
}

/// A patch of an edit: there is nothing in it to compress.
const PATCH: EncodeOptions<'_> = EncodeOptions { compress_content: false, ..ENCODE_PATCH };

struct Writing {
    list: ListCRDT,
    agent: AgentId,
    operations: Vec<Operation>,
}

impl Writing {
    fn new(replica: u64) -> Self {
        let mut list = ListCRDT::new();
        let agent = list.get_or_create_agent_id(&name(replica));
        Self { list, agent, operations: Vec::new() }
    }

    fn make(&mut self, edit: &Edit) {
        self.operations.clear();
        if edit.delete > 0 {
            self.operations.push(Operation::new_delete(edit.at..edit.at + edit.delete));
        }
        if !edit.insert.is_empty() {
            self.operations.push(Operation::new_insert(edit.at, &edit.insert));
        }
        self.list.apply_local_operations(self.agent, &self.operations);
    }
}

/// 16 bytes, as wide as ids are here.
fn name(replica: u64) -> String {
    format!("{:016x}", replica.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

impl Replicated for Writing {
    fn save(&mut self) -> Vec<u8> {
        self.list.oplog.encode(ENCODE_FULL)
    }

    fn load(&mut self, bytes: &[u8]) {
        let name = self.list.oplog.get_agent_name(self.agent).to_owned();
        self.list = ListCRDT::load_from(bytes).expect("it was saved");
        self.agent = self.list.get_or_create_agent_id(&name);
    }

    fn version(&mut self) -> Vec<u8> {
        let version = self.list.oplog.remote_version();
        let ids: Vec<(&str, usize)> = version.iter().map(|id| (id.agent.as_str(), id.seq)).collect();
        rmp_serde::to_vec(&ids).expect("an id is plain data")
    }

    fn since(&mut self, version: &[u8]) -> Na<Vec<u8>> {
        let ids: Vec<(&str, usize)> = rmp_serde::from_slice(version).expect("it is a version");
        let ids = ids.iter().map(|&(agent, seq)| RemoteId { agent: agent.into(), seq });
        // What is not known here says nothing.
        let known: Vec<RemoteId> =
            ids.filter(|id| self.list.oplog.try_remote_to_local_time(id).is_ok()).collect();
        let version = self.list.oplog.remote_to_local_version(known.iter());
        Ok(self.list.oplog.encode_from(ENCODE_PATCH, &version))
    }

    fn apply(&mut self, bytes: &[u8]) {
        self.list.merge_data_and_ff(bytes).expect("it is a patch");
    }
}

impl Text for Writing {
    fn write_in_one(&mut self, edits: &[Edit]) -> Na<()> {
        edits.iter().for_each(|edit| self.make(edit));
        Ok(())
    }

    fn write(&mut self, edit: &Edit) -> Vec<u8> {
        let before = self.list.oplog.local_version();
        self.make(edit);
        self.list.oplog.encode_from(PATCH, &before)
    }

    fn read(&mut self) -> String {
        self.list.branch.content().to_string()
    }
}
