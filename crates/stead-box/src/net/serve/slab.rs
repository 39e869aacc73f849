//! Things by number, so that an event finds what it is about; a number that was given back is not mistaken.

/// Says which thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    index: u32,
    life: u32,
}

impl Key {
    /// As a word that the kernel keeps, with one of two sides.
    pub fn word(self, side: u8) -> u64 {
        u64::from(self.life & 0x7fff_ffff) << 33 | u64::from(side & 1) << 32 | u64::from(self.index)
    }

    /// From such a word.
    pub fn from_word(word: u64) -> (Key, u8) {
        (Key { index: word as u32, life: (word >> 33) as u32 }, (word >> 32) as u8 & 1)
    }
}

struct Place<T> {
    life: u32,
    thing: Option<T>,
}

/// The things.
pub struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// A key for a thing that comes by [`Slab::put`].
    pub fn reserve(&mut self) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { life: 0, thing: None });
            self.places.len() as u32 - 1
        });
        Key { index, life: self.places[index as usize].life }
    }

    /// Puts a thing at its key.
    pub fn put(&mut self, key: Key, thing: T) {
        self.places[key.index as usize].thing = Some(thing);
    }

    /// Takes a thing out for a while; its key stays its own.
    pub fn take(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.index as usize)?;
        if place.life == key.life { place.thing.take() } else { None }
    }

    /// Gives a key back, with what is there.
    pub fn free(&mut self, key: Key) {
        if let Some(place) = self.places.get_mut(key.index as usize)
            && place.life == key.life
        {
            place.thing = None;
            place.life = (place.life + 1) & 0x7fff_ffff;
            self.free.push(key.index);
        }
    }

    /// Whether the key was not given back.
    pub fn is_live(&self, key: Key) -> bool {
        self.places.get(key.index as usize).is_some_and(|place| place.life == key.life)
    }

    /// All keys and things.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            place.thing.as_ref().map(|thing| (Key { index: index as u32, life: place.life }, thing))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_finds_nothing() {
        let mut slab = Slab::default();
        let first = slab.reserve();
        slab.put(first, 1);
        slab.free(first);
        let second = slab.reserve();
        slab.put(second, 2);
        assert!(slab.is_live(second) && !slab.is_live(first));
        assert_eq!(slab.take(first), None);
        assert_eq!(Key::from_word(second.word(1)), (second, 1));
        assert_eq!(slab.take(second), Some(2));
    }
}
