//! Records: as a derived struct, and as a `Doc`.

use tombolo_crdt::{AddWinsMap, Crdt, Doc, MvRegister, Scalar};

use super::{Of, in_session};
use crate::system::{FIELDS, Records, record_key};

#[derive(Crdt)]
pub struct Record {
    alpha: MvRegister<i64>,
    beta: MvRegister<i64>,
    gamma: MvRegister<i64>,
    delta: MvRegister<i64>,
    epsilon: MvRegister<i64>,
    zeta: MvRegister<i64>,
    eta: MvRegister<i64>,
    theta: MvRegister<i64>,
    iota: MvRegister<i64>,
    kappa: MvRegister<i64>,
}

fn set_field(record: &mut RecordMut<'_>, field: usize, value: i64) {
    match field {
        0 => record.alpha().set(value),
        1 => record.beta().set(value),
        2 => record.gamma().set(value),
        3 => record.delta().set(value),
        4 => record.epsilon().set(value),
        5 => record.zeta().set(value),
        6 => record.eta().set(value),
        7 => record.theta().set(value),
        8 => record.iota().set(value),
        _ => record.kappa().set(value),
    }
}

impl Records for Of<AddWinsMap<String, Record>> {
    fn create(&mut self, values: &[[i64; 10]]) {
        let _ = self.0.update(|records| {
            for (i, values) in values.iter().enumerate() {
                let mut record = records.at(record_key(i));
                values.iter().enumerate().for_each(|(field, value)| set_field(&mut record, field, *value));
            }
        });
    }

    fn edit(&mut self, record: usize, field: usize, value: i64) -> Vec<u8> {
        let (_, delta) =
            self.0.update(|records| set_field(&mut records.at(record_key(record)), field, value));
        in_session(&delta, &self.1)
    }

    fn record(&mut self, record: usize) -> [i64; 10] {
        let fields = self.0.get(&record_key(record)).expect("it was made");
        [
            &fields.alpha,
            &fields.beta,
            &fields.gamma,
            &fields.delta,
            &fields.epsilon,
            &fields.zeta,
            &fields.eta,
            &fields.theta,
            &fields.iota,
            &fields.kappa,
        ]
        .map(|register| *register.value().expect("it was set"))
    }
}

impl Records for Of<Doc> {
    fn create(&mut self, values: &[[i64; 10]]) {
        let _ = self.0.update(|doc| {
            for (i, values) in values.iter().enumerate() {
                let mut record = doc.map(&record_key(i));
                for (field, value) in FIELDS.iter().zip(values) {
                    record.register(field).set(*value);
                }
            }
        });
    }

    fn edit(&mut self, record: usize, field: usize, value: i64) -> Vec<u8> {
        let (_, delta) = self.0.update(|doc| doc.map(&record_key(record)).register(FIELDS[field]).set(value));
        in_session(&delta, &self.1)
    }

    fn record(&mut self, record: usize) -> [i64; 10] {
        let key = record_key(record);
        let fields = self.0.at_path([key.as_str()]).expect("it was made");
        FIELDS.map(|field| match fields.get(field).and_then(|entry| entry.register()?.value()) {
            Some(Scalar::Int(value)) => *value,
            other => panic!("{other:?} in place of a number"),
        })
    }
}
