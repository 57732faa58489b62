//! The objects of one kind, held close together: a database of thousands of tables has some hundred thousand of them.

use super::{Kind, ObjectId};
use crate::error::{Error, ErrorKind, Result};

/// The parts of an identity, in the order in which objects are sorted.
pub(crate) const IDENTITY: [&str; 3] = ["schema", "relation", "name"];

/// The attribute that ties an object to a table of its schema without being part of its name.
pub(crate) const OWNER_TABLE: &str = "owner_table";

/// The objects of one kind, sorted by identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Objects {
    attributes: Vec<String>,
    /// All values in one text.
    text: String,
    /// Where each value ends in the text, row by row: schema, relation, name and then the attributes.
    ends: Vec<u32>,
    /// The rows in the order of their identity.
    order: Vec<u32>,
}

impl Objects {
    /// No objects, with these attributes.
    pub(crate) fn new(attributes: Vec<String>) -> Objects {
        Objects {
            attributes,
            ..Objects::default()
        }
    }

    /// Adds an object: the three parts of its identity, then its attributes, none being the empty text.
    pub(crate) fn push<'a>(&mut self, values: impl Iterator<Item = &'a str>) -> Result<()> {
        for value in values {
            self.text.push_str(value);
            let end = u32::try_from(self.text.len()).map_err(|_| {
                Error::new(ErrorKind::Server, "the definitions of one kind of objects exceed 4 GB")
                    .with_hint("leave some schemas out")
            })?;
            self.ends.push(end);
        }
        debug_assert_eq!(self.ends.len() % self.width(), 0);
        Ok(())
    }

    /// The object that was added last.
    pub(crate) fn last(&self) -> Option<Object<'_>> {
        (self.ends.len() / self.width()).checked_sub(1).map(|row| self.row(row))
    }

    /// Takes back the object that was added last.
    pub(crate) fn pop(&mut self) {
        let kept = self.ends.len().saturating_sub(self.width());
        self.ends.truncate(kept);
        self.text.truncate(self.ends.last().map_or(0, |end| *end as usize));
    }

    /// Puts the objects in order, once all are there.
    pub(crate) fn sort(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
        let count = u32::try_from(self.ends.len() / self.width()).unwrap_or(u32::MAX);
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_unstable_by(|left, right| {
            let (left, right) = (self.row(*left as usize), self.row(*right as usize));
            left.identity().cmp(&right.identity())
        });
        self.order = order;
    }

    fn width(&self) -> usize {
        IDENTITY.len() + self.attributes.len()
    }

    fn row(&self, row: usize) -> Object<'_> {
        Object { objects: self, row }
    }

    /// The names of the attributes.
    pub(crate) fn attributes(&self) -> &[String] {
        &self.attributes
    }

    /// Whether this text stands anywhere in them.
    pub(crate) fn hold(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    /// The objects in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Object<'_>> {
        self.order.iter().map(|row| self.row(*row as usize))
    }

    /// One object.
    pub(crate) fn find(&self, schema: &str, relation: &str, name: &str) -> Option<Object<'_>> {
        let place = self
            .order
            .binary_search_by(|row| self.row(*row as usize).identity().cmp(&[schema, relation, name]))
            .ok()?;
        Some(self.row(self.order[place] as usize))
    }

    /// Those objects that are to be kept.
    pub(crate) fn filtered(&self, mut keep: impl FnMut(&Object<'_>) -> bool) -> Result<Objects> {
        let mut kept = Objects::new(self.attributes.clone());
        for object in self.iter().filter(|object| keep(object)) {
            kept.push(object.values())?;
        }
        kept.sort();
        Ok(kept)
    }
}

/// One object of a catalog.
#[derive(Clone, Copy)]
pub(crate) struct Object<'a> {
    objects: &'a Objects,
    row: usize,
}

impl<'a> Object<'a> {
    fn value(&self, column: usize) -> &'a str {
        let place = self.row * self.objects.width() + column;
        let start = if place == 0 { 0 } else { self.objects.ends[place - 1] };
        &self.objects.text[start as usize..self.objects.ends[place] as usize]
    }

    /// The three parts of the identity and then every attribute.
    pub(crate) fn values(self) -> impl Iterator<Item = &'a str> {
        (0..self.objects.width()).map(move |column| self.value(column))
    }

    pub(crate) fn identity(&self) -> [&'a str; 3] {
        [self.value(0), self.value(1), self.value(2)]
    }

    /// The table or view that the object belongs to, else its own name.
    pub(crate) fn relation_or_name(&self) -> &'a str {
        match self.value(1) {
            "" => self.value(2),
            relation => relation,
        }
    }

    /// The value of an attribute, by its place among the attributes.
    pub(crate) fn attribute_at(&self, number: usize) -> Option<&'a str> {
        Some(self.value(IDENTITY.len() + number)).filter(|value| !value.is_empty())
    }

    /// The value of an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'a str> {
        let number = self.objects.attributes.iter().position(|known| known == name)?;
        self.attribute_at(number)
    }

    /// The identity as a value of its own.
    pub(crate) fn id(&self, kind: Kind) -> ObjectId {
        let [schema, relation, name] = self.identity().map(str::to_owned);
        ObjectId {
            kind,
            schema,
            relation,
            name,
        }
    }
}
