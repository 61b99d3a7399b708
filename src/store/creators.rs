//! Creators: found by whatever a person calls them, listed, and, where the
//! tables are our own, added and changed. A platform's rows are never written.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use crate::model::creator::{
    Creator, CreatorRow, CreatorUpdate, NewCreator, NewCreatorRow, NewUserRow,
};
use crate::model::ids::{CreatorId, IdMaker};
use crate::model::listing::Totals;
use crate::model::payout::Payout;
use crate::model::schema::{creators, payouts, users};
use crate::model::time::Time;
use crate::store::connection::{AnyConnection, backend_of};
use crate::store::dialect::{IDS_MAX, batch_rows_max, on_each, users_by_lower_email};
use crate::store::payouts::PayoutFilter;
use crate::store::{Store, StoreError};

diesel::define_sql_function! {
    /// Lower case as the database sees it: SQLite knows ASCII alone.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

/// The tables that hold creators.
pub const OWN_TABLES: &[&str] = &["users", "creators"];

/// Whom a text may name: an id, a Stripe account or an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedCreator {
    /// Exactly one.
    One(Creator),
    /// Several users whose e-mail differs in case only.
    Several,
}

impl NamedCreator {
    /// What to say of a text that names nobody.
    pub const UNKNOWN: &str = "no creator has this id, e-mail address or Stripe account";

    /// The creator, when it is one.
    ///
    /// # Errors
    /// Why it cannot be said which.
    pub fn only(&self) -> Result<&Creator, &'static str> {
        match self {
            Self::One(creator) => Ok(creator),
            Self::Several => {
                Err("several creators have this e-mail address, in different case; use the id")
            }
        }
    }
}

/// What is stored that an import of creators could meet.
#[derive(Debug, Default)]
pub struct KnownCreators {
    by_id: HashMap<CreatorId, Creator>,
    by_email: HashMap<String, CreatorId>,
    by_account: HashMap<String, CreatorId>,
    /// E-mail addresses of users who are no creators.
    other_emails: HashSet<String>,
}

/// What an import asks for.
#[derive(Debug, Default)]
pub struct CreatorKeys<'a> {
    /// Ids.
    pub ids: Vec<&'a str>,
    /// E-mail addresses.
    pub emails: Vec<&'a str>,
    /// Stripe accounts.
    pub accounts: Vec<&'a str>,
}

/// What an import writes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CreatorChanges {
    /// In the file's order.
    pub new: Vec<NewCreator>,
    /// In the file's order.
    pub updates: Vec<CreatorUpdate>,
}

/// How an e-mail address is compared: nobody has two that differ in case only.
pub fn email_key(email: &str) -> String {
    email.to_ascii_lowercase()
}

impl KnownCreators {
    /// The creator with this id.
    pub fn by_id(&self, id: &str) -> Option<&Creator> {
        self.by_id.get(&CreatorId::new(id))
    }

    /// The creator whose user has this e-mail address, without regard to case.
    pub fn by_email(&self, email: &str) -> Option<&Creator> {
        self.by_id.get(self.by_email.get(&email_key(email))?)
    }

    /// The creator with this Stripe account.
    pub fn by_account(&self, account: &str) -> Option<&Creator> {
        self.by_id.get(self.by_account.get(account)?)
    }

    /// Whether a user who is no creator has this e-mail address.
    pub fn is_other_users(&self, email: &str) -> bool {
        self.other_emails.contains(&email_key(email))
    }

    fn insert(&mut self, creator: Creator) {
        if let Some(email) = &creator.email {
            self.by_email.insert(email_key(email), creator.id.clone());
        }
        if let Some(account) = &creator.stripe_account_id {
            self.by_account.insert(account.clone(), creator.id.clone());
        }
        self.by_id.insert(creator.id.clone(), creator);
    }
}

impl Store {
    /// A page of creators in the order of their ids, those behind `after` only.
    /// `search` is looked for in id, name and e-mail, without regard to case.
    pub fn creators_list(
        &mut self,
        search: Option<&str>,
        after: Option<&CreatorId>,
        limit: i64,
    ) -> Result<Vec<Creator>, StoreError> {
        self.creators_found(search, after, limit, false)
    }

    /// The first of those that the platform has not deleted.
    pub fn creators_live(
        &mut self,
        search: Option<&str>,
        limit: i64,
    ) -> Result<Vec<Creator>, StoreError> {
        self.creators_found(search, None, limit, true)
    }

    fn creators_found(
        &mut self,
        search: Option<&str>,
        after: Option<&CreatorId>,
        limit: i64,
        live: bool,
    ) -> Result<Vec<Creator>, StoreError> {
        let mut query = creators::table.left_join(users::table).into_boxed();
        if live {
            query = query.filter(creators::deleted_at.is_null());
        }
        if let Some(text) = search {
            let pattern = format!("%{}%", escape_like(text));
            query = query.filter(
                lower(creators::stage_name)
                    .like(lower(pattern.clone()))
                    .escape('\\')
                    .or(lower(users::email.assume_not_null())
                        .like(lower(pattern.clone()))
                        .escape('\\'))
                    .or(lower(creators::id).like(lower(pattern)).escape('\\')),
            );
        }
        if let Some(after) = after {
            query = query.filter(creators::id.gt(after));
        }
        let rows: Vec<(CreatorRow, Option<String>)> = self.read(|conn| {
            Ok(query
                .order(creators::id)
                .limit(limit)
                .select((CreatorRow::as_select(), users::email.nullable()))
                .load(conn)?)
        })?;
        Ok(rows.into_iter().map(with_email).collect())
    }

    /// The creators that texts name, each text that names any.
    pub fn creators_named(
        &mut self,
        texts: &[&str],
    ) -> Result<HashMap<String, NamedCreator>, StoreError> {
        self.read(|conn| named_in_tx(conn, texts))
    }

    /// A creator's payouts by status.
    pub fn creator_totals(&mut self, id: &CreatorId) -> Result<Totals, StoreError> {
        self.payout_totals(&PayoutFilter {
            creators: Some(vec![id.clone()]),
            ..PayoutFilter::default()
        })
    }

    /// A creator's newest payouts.
    pub fn creator_payouts(
        &mut self,
        id: &CreatorId,
        limit: i64,
    ) -> Result<Vec<Payout>, StoreError> {
        self.read(|conn| {
            Ok(payouts::table
                .filter(payouts::creator_id.eq(id))
                .order((payouts::created_at.desc(), payouts::id.desc()))
                .limit(limit)
                .select(Payout::as_select())
                .load(conn)?)
        })
    }

    /// Writes what `decide` makes of what is stored, in one transaction; when it
    /// decides against it, nothing. Returns what was written.
    ///
    /// # Errors
    /// What `decide` returns; a conflict when the tables are a platform's.
    pub fn creators_write<E: From<StoreError>>(
        &mut self,
        keys: &CreatorKeys<'_>,
        decide: impl FnOnce(&KnownCreators) -> Result<CreatorChanges, E>,
    ) -> Result<CreatorChanges, E> {
        self.require_own_tables(OWN_TABLES)?;
        let now = self.clock.now();
        let decided = self.write(|conn| {
            let known = known_in_tx(conn, keys)?;
            // Deciding against it commits a transaction that wrote nothing.
            let changes = match decide(&known) {
                Ok(changes) => changes,
                Err(error) => return Ok(Err(error)),
            };
            insert_in_tx(conn, &changes.new, now)?;
            for update in &changes.updates {
                update_in_tx(conn, update, now)?;
            }
            Ok(Ok(changes))
        });
        decided?
    }
}

/// Resolves texts: ids win over Stripe accounts, those over e-mail addresses as
/// they are written, those over addresses that differ in case.
pub(crate) fn named_in_tx(
    conn: &mut AnyConnection,
    texts: &[&str],
) -> Result<HashMap<String, NamedCreator>, StoreError> {
    let mut named: HashMap<String, NamedCreator> = HashMap::with_capacity(texts.len());
    let mut add = |name: String, creator: Creator| {
        named
            .entry(name)
            .and_modify(|found| *found = NamedCreator::Several)
            .or_insert(NamedCreator::One(creator));
    };
    let mut rest: Vec<&str> = Vec::new();
    for chunk in texts.chunks(IDS_MAX) {
        let mut found = HashSet::new();
        for creator in by_ids(conn, chunk)? {
            found.insert(creator.id.as_str().to_owned());
            add(creator.id.as_str().to_owned(), creator);
        }
        rest.extend(chunk.iter().filter(|text| !found.contains(**text)));
    }
    let (accounts, rest): (Vec<&str>, Vec<&str>) =
        rest.into_iter().partition(|text| text.starts_with("acct_"));
    for chunk in accounts.chunks(IDS_MAX) {
        for creator in by_accounts(conn, chunk)? {
            if let Some(account) = creator.stripe_account_id.clone() {
                add(account, creator);
            }
        }
    }
    let emails: Vec<&str> = rest.into_iter().filter(|text| text.contains('@')).collect();
    let mut in_other_case: Vec<&str> = Vec::new();
    for chunk in emails.chunks(IDS_MAX) {
        let mut found = HashSet::new();
        for creator in by_emails(conn, chunk)? {
            if let Some(email) = creator.email.clone() {
                found.insert(email.clone());
                add(email, creator);
            }
        }
        in_other_case.extend(chunk.iter().filter(|text| !found.contains(**text)));
    }
    let mut written: HashMap<String, Vec<&str>> = HashMap::new();
    for text in in_other_case {
        written.entry(email_key(text)).or_default().push(text);
    }
    let keys: Vec<&str> = written.keys().map(String::as_str).collect();
    for (email, creator) in by_lower_emails(conn, &keys)? {
        for text in written.get(&email_key(&email)).into_iter().flatten() {
            if let Some(creator) = &creator {
                add((*text).to_owned(), creator.clone());
            }
        }
    }
    Ok(named)
}

fn known_in_tx(
    conn: &mut AnyConnection,
    keys: &CreatorKeys<'_>,
) -> Result<KnownCreators, StoreError> {
    let mut known = KnownCreators::default();
    for chunk in keys.ids.chunks(IDS_MAX) {
        for creator in by_ids(conn, chunk)? {
            known.insert(creator);
        }
    }
    for chunk in keys.accounts.chunks(IDS_MAX) {
        for creator in by_accounts(conn, chunk)? {
            known.insert(creator);
        }
    }
    let lowered: Vec<String> = keys.emails.iter().map(|email| email_key(email)).collect();
    let lowered: Vec<&str> = lowered.iter().map(String::as_str).collect();
    for (email, creator) in by_lower_emails(conn, &lowered)? {
        match creator {
            Some(creator) => known.insert(creator),
            None => {
                known.other_emails.insert(email_key(&email));
            }
        }
    }
    Ok(known)
}

fn insert_in_tx(conn: &mut AnyConnection, new: &[NewCreator], now: Time) -> Result<(), StoreError> {
    let mut ids = IdMaker::new(now);
    let backend = backend_of(conn);
    for chunk in new.chunks(batch_rows_max(backend, 8)) {
        let mut user_rows = Vec::with_capacity(chunk.len());
        let mut creator_rows = Vec::with_capacity(chunk.len());
        for creator in chunk {
            let user_id = ids.next_id()?;
            let id = match &creator.id {
                Some(id) => id.clone(),
                None => CreatorId::new(ids.next_id()?),
            };
            user_rows.push(NewUserRow {
                id: user_id.clone(),
                email: creator.email.clone(),
                name: Some(creator.name.clone()),
                created_at: now,
                updated_at: now,
            });
            creator_rows.push(NewCreatorRow {
                id,
                user_id,
                stage_name: creator.name.clone(),
                stripe_account_id: creator.stripe_account_id.clone(),
                onboarding_status: creator.onboarding_status.clone(),
                verification_status: "pending".to_owned(),
                created_at: now,
                updated_at: now,
            });
        }
        on_each!(conn, c => diesel::insert_into(users::table).values(&user_rows).execute(c))?;
        on_each!(conn, c => diesel::insert_into(creators::table).values(&creator_rows).execute(c))?;
    }
    Ok(())
}

fn update_in_tx(
    conn: &mut AnyConnection,
    update: &CreatorUpdate,
    now: Time,
) -> Result<(), StoreError> {
    let row = creators::table.filter(creators::id.eq(&update.id));
    diesel::update(row)
        .set((
            creators::stage_name.eq(&update.name),
            creators::updated_at.eq(now),
        ))
        .execute(conn)?;
    if let Some(account) = &update.stripe_account_id {
        diesel::update(row)
            .set(creators::stripe_account_id.eq(account))
            .execute(conn)?;
    }
    let user = users::table.filter(users::id.eq_any(row.select(creators::user_id)));
    diesel::update(user)
        .set((
            users::email.eq(&update.email),
            users::name.eq(&update.name),
            users::updated_at.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}

/// The users with these e-mail addresses, in lower case, whatever theirs is: the
/// address and the creator each of them is, if any.
fn by_lower_emails(
    conn: &mut AnyConnection,
    keys: &[&str],
) -> Result<Vec<(String, Option<Creator>)>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for chunk in users_by_lower_email(conn, keys)?.chunks(IDS_MAX) {
        let ids: Vec<&str> = chunk.iter().map(|(id, _)| id.as_str()).collect();
        let mut creators: HashMap<String, Creator> = by_user_ids(conn, &ids)?
            .into_iter()
            .filter_map(|creator| Some((creator.email.clone()?, creator)))
            .collect();
        found.extend(
            chunk
                .iter()
                .map(|(_, email)| (email.clone(), creators.remove(email))),
        );
    }
    Ok(found)
}

/// Declares a query for the creators one of whose columns is among some texts.
macro_rules! creators_where {
    ($( $(#[$doc:meta])* $name:ident($texts:ident) => $filter:expr; )+) => { $(
        $(#[$doc])*
        fn $name(conn: &mut AnyConnection, $texts: &[&str]) -> Result<Vec<Creator>, StoreError> {
            let rows: Vec<(CreatorRow, Option<String>)> = creators::table
                .left_join(users::table)
                .filter($filter)
                .select((CreatorRow::as_select(), users::email.nullable()))
                .load(conn)?;
            Ok(rows.into_iter().map(with_email).collect())
        }
    )+ };
}

creators_where! {
    by_ids(texts) => creators::id.eq_any(texts.iter().copied());
    by_accounts(texts) => creators::stripe_account_id.eq_any(texts.iter().copied());
    by_emails(texts) => users::email.eq_any(texts.iter().copied());
    by_user_ids(texts) => creators::user_id.eq_any(texts.iter().copied());
}

fn with_email((row, email): (CreatorRow, Option<String>)) -> Creator {
    row.with_email(email)
}

/// A text as a pattern that matches itself alone.
fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
}
