//! Intel RDT of a container (config-linux.md, intelRdt): the class of service that its processes are in, made for it or
//! found, and the group within it that measures them. Called wherever a container is made, changed, entered, looked
//! at and deleted. The container's id names what is its own.

use crate::container::Record;
use crate::error::{Result, invalid};
use kernel::resctrl::{Group, Resctrl};
use rustix::io::Errno;
use serde_json::{Map, Value, json};
use spec::runtime::IntelRdt;
use std::collections::BTreeMap;

/// The class that is everybody's.
const DEFAULT_CLASS: &str = "/";

/// Where a container's processes go.
#[derive(Debug)]
pub(crate) struct Membership {
    class: Group,
    measured: Option<Group>,
    /// Whether it is [`Membership::make`] that made the class.
    made: bool,
}

/// What `record` asks for, if anything; [`Membership::add`] is for its processes.
pub(crate) fn of(record: &Record) -> Result<Option<Membership>> {
    let Some(asked) = asked(record) else { return Ok(None) };
    Membership::open(&mounted()?, asked, &record.id).map(Some)
}

fn asked(record: &Record) -> Option<&IntelRdt> {
    record.config.linux.as_ref()?.intel_rdt.as_ref()
}

/// Makes what `asked` wants for the new container `id`.
pub(crate) fn make(asked: &IntelRdt, id: &str) -> Result<Membership> {
    Membership::make(&mounted()?, asked, id)
}

fn mounted() -> Result<Resctrl> {
    let missing = || invalid("intelRdt is specified in config, but Intel RDT is not enabled: no resctrl is mounted");
    Resctrl::find()?.ok_or_else(missing)
}

/// Removes what is the container's own. Where the file system is gone everything is.
pub(crate) fn remove(record: &Record) -> Result<()> {
    match (asked(record), Resctrl::find()?) {
        (Some(asked), Some(resctrl)) => remove_from(&resctrl, asked, &record.id),
        _ => Ok(()),
    }
}

fn remove_from(resctrl: &Resctrl, asked: &IntelRdt, id: &str) -> Result<()> {
    let class = match asked.clos_id.as_str() {
        "" => return Ok(resctrl.class(id).map_or(Ok(()), |class| class.remove())?),
        DEFAULT_CLASS => Some(resctrl.default_class()),
        name => resctrl.class(name),
    };
    // A class with a name is others', too, and stays.
    match class.filter(|_| asked.enable_monitoring) {
        Some(class) => Ok(class.measured(id).remove()?),
        None => Ok(()),
    }
}

/// Changes how the resources of a running container's class are shared out; one that has no class gets one.
pub(crate) fn update(record: &mut Record, new: &Schemas, processes: &[i32]) -> Result<()> {
    update_in(&mounted()?, record, new, processes)
}

/// What `update` may change; an empty text leaves things as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schemas {
    /// `L3:0=7f0;1=1f`
    pub l3_cache: String,
    /// `MB:0=20;1=70`
    pub memory_bandwidth: String,
}

impl Schemas {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Schemas::default()
    }
}

fn update_in(resctrl: &Resctrl, record: &mut Record, new: &Schemas, processes: &[i32]) -> Result<()> {
    let new = IntelRdt {
        l3_cache_schema: new.l3_cache.clone(),
        mem_bw_schema: new.memory_bandwidth.clone(),
        ..IntelRdt::default()
    };
    check(resctrl, &new)?;
    let linux = record.config.linux.get_or_insert_default();
    let Some(old) = &mut linux.intel_rdt else {
        let membership = Membership::make(resctrl, &new, &record.id)?;
        if let Err(error) = processes.iter().try_for_each(|pid| membership.add(*pid)) {
            membership.take_back();
            return Err(error);
        }
        linux.intel_rdt = Some(new);
        return Ok(());
    };
    Membership::open(resctrl, old, &record.id)?.share_out(&new)?;
    for (old, new) in [(&mut old.l3_cache_schema, new.l3_cache_schema), (&mut old.mem_bw_schema, new.mem_bw_schema)] {
        if !new.is_empty() {
            *old = new;
        }
    }
    Ok(())
}

/// Before anything is made.
fn check(resctrl: &Resctrl, asked: &IntelRdt) -> Result<()> {
    let id = asked.clos_id.as_str();
    if matches!(id, "." | "..") || (id != DEFAULT_CLASS && id.contains('/')) {
        return Err(invalid(format!("invalid intelRdt.ClosID {id:?}")));
    }
    let lines = [&asked.l3_cache_schema, &asked.mem_bw_schema].into_iter().chain(&asked.schemata);
    if let Some(line) = lines.into_iter().find(|line| line.contains('\n')) {
        return Err(invalid(format!("intelRdt: schema {line:?} holds a newline")));
    }
    if !asked.l3_cache_schema.is_empty() && !resctrl.shares("L3") {
        return Err(invalid("intelRdt.l3CacheSchema is specified in config, but Intel RDT/CAT is not enabled"));
    }
    if asked.mem_bw_schema.is_empty() {
        return Ok(());
    }
    if !asked.mem_bw_schema.starts_with("MB:") {
        return Err(invalid(format!("intelRdt.memBwSchema {:?} does not start with MB:", asked.mem_bw_schema)));
    }
    if !resctrl.shares("MB") {
        return Err(invalid("intelRdt.memBwSchema is specified in config, but Intel RDT/MBA is not enabled"));
    }
    Ok(())
}

impl Membership {
    fn make(resctrl: &Resctrl, asked: &IntelRdt, id: &str) -> Result<Membership> {
        check(resctrl, asked)?;
        let (class, made) = class(resctrl, asked, id)?;
        let mut membership = Membership { class, measured: None, made };
        if let Err(error) = membership.set_up(asked, id) {
            membership.take_back();
            return Err(error);
        }
        Ok(membership)
    }

    fn set_up(&mut self, asked: &IntelRdt, id: &str) -> Result<()> {
        if !self.made {
            compare(asked, &self.class.schemata()?)?;
        }
        self.share_out(asked)?;
        if asked.enable_monitoring {
            self.measured = Some(self.class.make_measured(id)?);
        }
        Ok(())
    }

    fn open(resctrl: &Resctrl, asked: &IntelRdt, id: &str) -> Result<Membership> {
        let name = if asked.clos_id.is_empty() { id } else { &asked.clos_id };
        let class = if name == DEFAULT_CLASS { Some(resctrl.default_class()) } else { resctrl.class(name) };
        let class = class.ok_or_else(|| invalid(format!("intelRdt: there is no class of service {name:?}")))?;
        let measured = asked.enable_monitoring.then(|| class.measured(id));
        Ok(Membership { class, measured, made: false })
    }

    /// In the order that the specification asks for; one that is set later wins.
    fn share_out(&self, asked: &IntelRdt) -> Result<()> {
        let schemata = asked.schemata.join("\n");
        let texts = [&asked.l3_cache_schema, &asked.mem_bw_schema, &schemata];
        Ok(texts.into_iter().filter(|text| !text.is_empty()).try_for_each(|text| self.class.share_out(text))?)
    }

    /// Takes process `pid` in; those that it makes follow it.
    pub fn add(&self, pid: i32) -> Result<()> {
        // The class first: a group within takes in only what is in its class.
        for group in std::iter::once(&self.class).chain(&self.measured) {
            match group.add(pid) {
                Err(error) if error.errno == Errno::SRCH => return Ok(()),
                added => added?,
            }
        }
        Ok(())
    }

    /// Undoes [`Membership::make`].
    pub fn take_back(&self) {
        // What stays behind when this fails is empty, and the reason for being here is what counts.
        let made = self.made.then_some(&self.class);
        self.measured.iter().chain(made).for_each(|group| drop(group.remove()));
    }
}

/// The class, and whether it is new.
fn class(resctrl: &Resctrl, asked: &IntelRdt, id: &str) -> Result<(Group, bool)> {
    let sets = !asked.l3_cache_schema.is_empty() || !asked.mem_bw_schema.is_empty() || !asked.schemata.is_empty();
    match asked.clos_id.as_str() {
        "" => Ok((resctrl.make_class(id)?, true)),
        DEFAULT_CLASS => Ok((resctrl.default_class(), false)),
        name => match resctrl.class(name) {
            Some(class) => Ok((class, false)),
            None if sets => Ok((resctrl.make_class(name)?, true)),
            None => {
                Err(invalid(format!("intelRdt: there is no class of service {name:?}, and no schema to make it with")))
            }
        },
    }
}

/// An error if a class that exists shares out otherwise than `asked`, as far as that says.
fn compare(asked: &IntelRdt, schemata: &str) -> Result<()> {
    let there: BTreeMap<String, Shares> = schemata.lines().filter_map(shares).collect();
    for wanted in [&asked.l3_cache_schema, &asked.mem_bw_schema].into_iter().filter(|text| !text.is_empty()) {
        let (resource, values) = shares(wanted).ok_or_else(|| invalid(format!("intelRdt: bad schema {wanted:?}")))?;
        let found = there.get(&resource);
        if values.iter().any(|(cache, value)| found.and_then(|found| found.get(cache)) != Some(value)) {
            let text = format!("intelRdt: {wanted} does not match the schemata of closID {:?}", asked.clos_id);
            return Err(invalid(text));
        }
    }
    Ok(())
}

/// By the id of the cache; without zeros in front, which the kernel writes or does not.
type Shares = BTreeMap<String, String>;

fn shares(line: &str) -> Option<(String, Shares)> {
    let (resource, values) = line.trim().split_once(':')?;
    let plain = |text: &str| match text.trim().trim_start_matches('0') {
        "" => "0".to_owned(),
        text => text.to_ascii_lowercase(),
    };
    let share = |pair: &str| pair.split_once('=').map(|(cache, value)| (plain(cache), plain(value)));
    let shares: Option<Shares> = values.split(';').map(share).collect();
    Some((resource.trim().to_owned(), shares?))
}

/// For `events`, as runc has it.
pub(crate) fn stats(record: &Record) -> Value {
    let resctrl = asked(record).and_then(|_| Resctrl::find().ok().flatten());
    match (asked(record), resctrl) {
        (Some(asked), Some(resctrl)) => stats_of(&resctrl, asked, &record.id).unwrap_or_else(|_| json!({})),
        _ => json!({}),
    }
}

fn stats_of(resctrl: &Resctrl, asked: &IntelRdt, id: &str) -> Result<Value> {
    let membership = Membership::open(resctrl, asked, id)?;
    let (all, own) = (resctrl.default_class().schemata()?, membership.class.schemata()?);
    let line = |text: &str, resource: &str| {
        let mut lines = text.lines().map(str::trim);
        lines.find(|line| line.split(':').next() == Some(resource)).unwrap_or_default().to_owned()
    };
    let number = |resource: &str, name: &str| resctrl.info(resource, name)?.parse::<u64>().ok();
    let mut stats = Map::new();
    if resctrl.shares("L3") {
        stats.insert(
            "l3_cache_info".to_owned(),
            json!({
                "cbm_mask": resctrl.info("L3", "cbm_mask"),
                "min_cbm_bits": number("L3", "min_cbm_bits"),
                "num_closids": number("L3", "num_closids"),
            }),
        );
        stats.insert("l3_cache_schema_root".to_owned(), json!(line(&all, "L3")));
        stats.insert("l3_cache_schema".to_owned(), json!(line(&own, "L3")));
    }
    if resctrl.shares("MB") {
        let names = ["bandwidth_gran", "delay_linear", "min_bandwidth", "num_closids"];
        let info: Map<String, Value> =
            names.map(|name| (name.to_owned(), json!(number("MB", name)))).into_iter().collect();
        stats.insert("mem_bw_info".to_owned(), Value::Object(info));
        stats.insert("mem_bw_schema_root".to_owned(), json!(line(&all, "MB")));
        stats.insert("mem_bw_schema".to_owned(), json!(line(&own, "MB")));
    }
    let measured = membership.measured.as_ref().unwrap_or(&membership.class);
    let (total, local) = (measured.measurements("mbm_total_bytes"), measured.measurements("mbm_local_bytes"));
    if !total.is_empty() {
        let nodes = total.iter().zip(local.iter().map(Some).chain(std::iter::repeat(None)));
        let node = |(total, local): (&u64, Option<&u64>)| json!({"mbm_total_bytes": total, "mbm_local_bytes": local});
        stats.insert("mbm_stats".to_owned(), nodes.map(node).collect());
    }
    let occupied = measured.measurements("llc_occupancy");
    if !occupied.is_empty() {
        stats.insert("cmt_stats".to_owned(), occupied.iter().map(|bytes| json!({"llc_occupancy": bytes})).collect());
    }
    Ok(Value::Object(stats))
}

#[cfg(test)]
mod tests;
