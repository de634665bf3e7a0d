//! nftables over netlink (NETLINK_NETFILTER), without the `nft` program: transactions of tables, chains, sets, maps and
//! rules that the kernel takes as a whole or not at all (linux/netfilter/nf_tables.h). Expressions of rules are in
//! `expression.rs`. What the rules of a network are decides the crate `net`.

pub mod expression;
#[cfg(test)]
mod tests;

pub use expression::{Expression, Register, Verdict};

use crate::error::Result;
use crate::netlink::message::{Batch, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, Reader};
use crate::netlink::{Reply, Socket};

const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;

const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_GETCHAIN: u16 = 4;
const NFT_MSG_NEWRULE: u16 = 6;
const NFT_MSG_NEWSET: u16 = 9;
const NFT_MSG_NEWSETELEM: u16 = 12;
const NFT_MSG_GETSETELEM: u16 = 13;
const NFT_MSG_DELSETELEM: u16 = 14;

const NFTA_TABLE_NAME: u16 = 1;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_SET_TABLE: u16 = 1;
const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_DATA_TYPE: u16 = 6;
const NFTA_SET_DATA_LEN: u16 = 7;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_USERDATA: u16 = 13;
const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_DATA: u16 = 2;
const NFT_SET_MAP: u32 = 8;
const NFT_DATA_VERDICT: u32 = 0xffff_ff00;
pub(crate) const NFTA_LIST_ELEM: u16 = 1;
pub(crate) const NFTA_DATA_VALUE: u16 = 1;

/// An attribute holds 64 KiB at most: more elements go into further messages.
const ELEMENTS_BYTES_MAX: usize = 48 << 10;

/// The address family of a table (NFPROTO_*).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Family {
    Inet = 1,
    Ipv4 = 2,
    Bridge = 7,
    Ipv6 = 10,
}

/// Where a base chain looks at packets (NF_INET_*; NF_BR_* has the same numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Hook {
    Prerouting = 0,
    Input = 1,
    Forward = 2,
    Output = 3,
    Postrouting = 4,
}

/// What a base chain is for: `filter` or `nat`; the hook and the priority give its place.
#[derive(Debug, Clone, Copy)]
pub struct Base {
    pub kind: &'static str,
    pub hook: Hook,
    pub priority: i32,
}

/// A type of keys or data, as `nft list` shows it. Concatenations join several; each part takes full words of 4 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Ipv4Address = 7,
    Ipv6Address = 8,
    EtherAddress = 9,
    InetProtocol = 12,
    InetService = 13,
    InterfaceName = 41,
}

impl Type {
    fn bytes(self) -> u32 {
        match self {
            Type::Ipv4Address | Type::InetProtocol | Type::InetService => 4,
            Type::EtherAddress => 8,
            Type::Ipv6Address | Type::InterfaceName => 16,
        }
    }
}

/// What a set maps its keys to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data<'a> {
    Nothing,
    Verdict,
    Value(&'a [Type]),
}

/// A table, by which everything in it is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table<'a> {
    pub family: Family,
    pub name: &'a str,
}

/// One element of a set, with its data if the set is a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub key: Vec<u8>,
    pub value: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Data(Vec<u8>),
    Verdict(Verdict),
}

/// A chain at a hook, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseChain {
    pub family: Family,
    pub table: String,
    pub name: String,
    /// As [`Hook`] counts.
    pub hook: u32,
    /// What no rule decides is dropped.
    pub drops: bool,
}

/// Changes that become true together.
#[derive(Debug)]
pub struct Transaction {
    batch: Batch,
    sets: u32,
}

/// Words of a key: each part padded to 4 bytes, as the kernel's registers have it.
pub fn key(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// The name of an interface as a key: 16 bytes.
pub fn interface_key(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    let length = name.len().min(15);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    bytes
}

/// struct nfgenmsg
fn fixed(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

impl Default for Transaction {
    fn default() -> Transaction {
        Transaction::new()
    }
}

impl Transaction {
    pub fn new() -> Transaction {
        let mut batch = Batch::new();
        batch.begin_plain(NFNL_MSG_BATCH_BEGIN, 0, &fixed(0, NFNL_SUBSYS_NFTABLES));
        Transaction { batch, sets: 0 }
    }

    fn begin(&mut self, kind: u16, flags: u16, family: Family) {
        self.batch.begin(NFNL_SUBSYS_NFTABLES << 8 | kind, flags, &fixed(family as u8, 0));
    }

    /// Makes the table unless it is there.
    pub fn add_table(&mut self, table: Table<'_>) {
        self.begin(NFT_MSG_NEWTABLE, NLM_F_CREATE, table.family);
        self.batch.text(NFTA_TABLE_NAME, table.name);
    }

    /// `EEXIST` when it is there.
    pub fn add_new_table(&mut self, table: Table<'_>) {
        self.begin(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, table.family);
        self.batch.text(NFTA_TABLE_NAME, table.name);
    }

    /// With everything in it. `ENOENT` when there is none, so a table is replaced by add, delete, add.
    pub fn delete_table(&mut self, table: Table<'_>) {
        self.begin(NFT_MSG_DELTABLE, 0, table.family);
        self.batch.text(NFTA_TABLE_NAME, table.name);
    }

    /// A chain that others jump to.
    pub fn add_chain(&mut self, table: Table<'_>, name: &str) {
        self.begin(NFT_MSG_NEWCHAIN, NLM_F_CREATE, table.family);
        self.batch.text(NFTA_CHAIN_TABLE, table.name);
        self.batch.text(NFTA_CHAIN_NAME, name);
    }

    /// A chain at a hook; what no rule decides is accepted.
    pub fn add_base_chain(&mut self, table: Table<'_>, name: &str, base: Base) {
        self.add_chain(table, name);
        self.batch.nest(NFTA_CHAIN_HOOK, |batch| {
            batch.be32(NFTA_HOOK_HOOKNUM, base.hook as u32);
            batch.be32(NFTA_HOOK_PRIORITY, base.priority as u32);
        });
        self.batch.be32(NFTA_CHAIN_POLICY, 1);
        self.batch.text(NFTA_CHAIN_TYPE, base.kind);
    }

    /// Adds a rule at the end of a chain.
    pub fn add_rule(&mut self, table: Table<'_>, chain: &str, expressions: &[Expression<'_>]) {
        self.begin(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, table.family);
        self.batch.text(NFTA_RULE_TABLE, table.name);
        self.batch.text(NFTA_RULE_CHAIN, chain);
        self.batch.nest(NFTA_RULE_EXPRESSIONS, |batch| {
            for expression in expressions {
                batch.nest(NFTA_LIST_ELEM, |batch| expression.put(batch));
            }
        });
    }

    /// A set of keys, or a map when there is `data`.
    pub fn add_set(&mut self, table: Table<'_>, name: &str, key: &[Type], data: Data<'_>) {
        self.sets += 1;
        self.begin(NFT_MSG_NEWSET, NLM_F_CREATE, table.family);
        self.batch.text(NFTA_SET_TABLE, table.name);
        self.batch.text(NFTA_SET_NAME, name);
        self.batch.be32(NFTA_SET_FLAGS, if data == Data::Nothing { 0 } else { NFT_SET_MAP });
        let (kind, length) = concatenation(key);
        self.batch.be32(NFTA_SET_KEY_TYPE, kind);
        self.batch.be32(NFTA_SET_KEY_LEN, length);
        match data {
            Data::Nothing => {}
            Data::Verdict => self.batch.be32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT),
            Data::Value(types) => {
                let (kind, length) = concatenation(types);
                self.batch.be32(NFTA_SET_DATA_TYPE, kind);
                self.batch.be32(NFTA_SET_DATA_LEN, length);
            }
        }
        self.batch.be32(NFTA_SET_ID, self.sets);
        if key == [Type::InterfaceName] {
            // For nft(8), which would show the names as nothing: keys are as the machine has them (libnftnl/udata.h:
            // NFTNL_UDATA_SET_KEYBYTEORDER, 4 bytes, the host's order).
            let [a, b, c, d] = 1u32.to_ne_bytes();
            self.batch.put(NFTA_SET_USERDATA, &[0, 4, a, b, c, d]);
        }
    }

    /// An element that is there already with the same data is no error. `ENOENT` without the set, `EEXIST` when the key is there with other data.
    pub fn add_elements(&mut self, table: Table<'_>, set: &str, elements: &[Element]) {
        self.elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, table, set, elements);
    }

    /// `ENOENT` when one of them is not there: then nothing of the transaction is done.
    pub fn delete_elements(&mut self, table: Table<'_>, set: &str, elements: &[Element]) {
        self.elements(NFT_MSG_DELSETELEM, 0, table, set, elements);
    }

    fn elements(&mut self, kind: u16, flags: u16, table: Table<'_>, set: &str, elements: &[Element]) {
        let mut rest = elements.iter().peekable();
        while rest.peek().is_some() {
            self.begin(kind, flags, table.family);
            self.batch.text(NFTA_SET_ELEM_LIST_TABLE, table.name);
            self.batch.text(NFTA_SET_ELEM_LIST_SET, set);
            self.batch.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |batch| {
                for element in rest.by_ref() {
                    batch.nest(NFTA_LIST_ELEM, |batch| element.put(batch));
                    if batch.message_bytes() > ELEMENTS_BYTES_MAX {
                        break;
                    }
                }
            });
        }
    }

    /// All or nothing. An `ENOENT` means that a table, chain, set or element that was named is not there.
    pub fn commit(mut self, socket: &Socket) -> Result<()> {
        self.batch.begin_plain(NFNL_MSG_BATCH_END, 0, &fixed(0, NFNL_SUBSYS_NFTABLES));
        socket.run(&self.batch, "change nftables")
    }
}

impl Element {
    pub fn key(key: Vec<u8>) -> Element {
        Element { key, value: None }
    }

    fn put(&self, batch: &mut Batch) {
        batch.nest(NFTA_SET_ELEM_KEY, |batch| batch.put(NFTA_DATA_VALUE, &self.key));
        match &self.value {
            None => {}
            Some(Value::Data(data)) => {
                batch.nest(NFTA_SET_ELEM_DATA, |batch| batch.put(NFTA_DATA_VALUE, data));
            }
            Some(Value::Verdict(verdict)) => batch.nest(NFTA_SET_ELEM_DATA, |batch| verdict.put(batch)),
        }
    }
}

/// The number of the type, six bits for each part, and the bytes of the whole.
fn concatenation(types: &[Type]) -> (u32, u32) {
    types.iter().fold((0, 0), |(kind, length), part| {
        // A single number of one or two bytes keeps its own length; in a concatenation each part fills its words.
        let alone = match part {
            Type::InetProtocol if types.len() == 1 => 1,
            Type::InetService if types.len() == 1 => 2,
            Type::EtherAddress if types.len() == 1 => 6,
            _ => part.bytes(),
        };
        (kind << 6 | *part as u32, length + alone)
    })
}

impl Socket {
    /// Whether a table is there.
    pub fn has_table(&self, table: Table<'_>) -> Result<bool> {
        let mut batch = Batch::new();
        let kind = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE;
        batch.begin(kind, 0, &fixed(table.family as u8, 0));
        batch.text(NFTA_TABLE_NAME, table.name);
        found(self.ask(&batch, "look up nftables table"))
    }

    /// Those of all tables of IP and IPv6.
    pub fn base_chains(&self) -> Result<Vec<BaseChain>> {
        let mut batch = Batch::new();
        let kind = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN;
        // NFPROTO_UNSPEC: of every family.
        batch.begin(kind, NLM_F_DUMP, &fixed(0, 0));
        Ok(self.ask(&batch, "list nftables chains")?.iter().filter_map(|reply| base_chain(&reply.body)).collect())
    }

    /// Whether a chain is there.
    pub fn has_chain(&self, table: Table<'_>, chain: &str) -> Result<bool> {
        let mut batch = Batch::new();
        let kind = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN;
        batch.begin(kind, 0, &fixed(table.family as u8, 0));
        batch.text(NFTA_CHAIN_TABLE, table.name);
        batch.text(NFTA_CHAIN_NAME, chain);
        found(self.ask(&batch, "look up nftables chain"))
    }

    /// The keys of all elements of a set.
    pub fn element_keys(&self, table: Table<'_>, set: &str) -> Result<Vec<Vec<u8>>> {
        let mut batch = Batch::new();
        let kind = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM;
        batch.begin(kind, NLM_F_DUMP, &fixed(table.family as u8, 0));
        batch.text(NFTA_SET_ELEM_LIST_TABLE, table.name);
        batch.text(NFTA_SET_ELEM_LIST_SET, set);
        let mut keys = Vec::new();
        for reply in self.ask(&batch, "list nftables set")? {
            let lists = Reader::attributes(reply.body.get(4..).unwrap_or_default())
                .filter(|(kind, _)| *kind == NFTA_SET_ELEM_LIST_ELEMENTS);
            for (_, element) in lists.flat_map(|(_, list)| Reader::attributes(list)) {
                let key = Reader::attributes(element).find(|(kind, _)| *kind == NFTA_SET_ELEM_KEY);
                let value = key.and_then(|(_, key)| Reader::attributes(key).next());
                keys.extend(value.map(|(_, bytes)| bytes.to_vec()));
            }
        }
        Ok(keys)
    }
}

/// `None` for a chain that others jump to, and for families of no interest.
fn base_chain(body: &[u8]) -> Option<BaseChain> {
    let family =
        [Family::Inet, Family::Ipv4, Family::Ipv6].into_iter().find(|one| body.first() == Some(&(*one as u8)))?;
    let text = |value: &[u8]| String::from_utf8_lossy(value.strip_suffix(b"\0").unwrap_or(value)).into_owned();
    let number = |value: &[u8]| Some(u32::from_be_bytes(value.get(..4)?.try_into().ok()?));
    let (mut table, mut name, mut hook, mut drops) = (String::new(), String::new(), None, false);
    for (kind, value) in Reader::attributes(body.get(4..)?) {
        match kind {
            NFTA_CHAIN_TABLE => table = text(value),
            NFTA_CHAIN_NAME => name = text(value),
            NFTA_CHAIN_POLICY => drops = number(value) == Some(0),
            NFTA_CHAIN_HOOK => {
                let hooked = Reader::attributes(value).find(|(kind, _)| *kind == NFTA_HOOK_HOOKNUM);
                hook = hooked.and_then(|(_, value)| number(value));
            }
            _ => {}
        }
    }
    Some(BaseChain { family, table, name, hook: hook?, drops })
}

fn found(answer: Result<Vec<Reply>>) -> Result<bool> {
    match answer {
        Ok(replies) => Ok(!replies.is_empty()),
        Err(error) if error.errno == rustix::io::Errno::NOENT => Ok(false),
        Err(error) => Err(error),
    }
}
