//! The table of operations: every call of the API with the rules that hold for all sessions alike.

use std::fmt;

/// Rights on the SA database or the engine, as bits. WFP: `FWPM_ACTRL_*` and the standard rights.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(pub u32);

impl Rights {
    /// No right needed.
    pub const NONE: Rights = Rights(0);
    /// Add objects, 0x1.
    pub const ADD: Rights = Rights(0x1);
    /// Refer to objects, 0x2.
    pub const ADD_LINK: Rights = Rights(0x2);
    /// Begin a read-only transaction, 0x4.
    pub const BEGIN_READ_TXN: Rights = Rights(0x4);
    /// Begin a read/write transaction, 0x8.
    pub const BEGIN_WRITE_TXN: Rights = Rights(0x8);
    /// Classify, 0x10.
    pub const CLASSIFY: Rights = Rights(0x10);
    /// Enumerate, 0x20.
    pub const ENUM: Rights = Rights(0x20);
    /// Open a session, 0x40.
    pub const OPEN: Rights = Rights(0x40);
    /// Read objects, 0x80.
    pub const READ: Rights = Rights(0x80);
    /// Read statistics, 0x100.
    pub const READ_STATS: Rights = Rights(0x100);
    /// Subscribe to events, 0x200.
    pub const SUBSCRIBE: Rights = Rights(0x200);
    /// Change objects and options, 0x400.
    pub const WRITE: Rights = Rights(0x400);
    /// Read keys, 0x800: ours, WFP has no such right.
    pub const READ_KEYS: Rights = Rights(0x800);
    /// Delete objects, 0x10000.
    pub const DELETE: Rights = Rights(0x1_0000);
    /// Read the security descriptor, 0x20000.
    pub const READ_CONTROL: Rights = Rights(0x2_0000);
    /// Change the security descriptor's access list, 0x40000.
    pub const WRITE_DAC: Rights = Rights(0x4_0000);
    /// Every right.
    pub const ALL: Rights = Rights(0xF_0FFF);

    /// These rights and those.
    #[must_use]
    pub const fn and(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// Whether all of `needed` are among these.
    pub const fn contain(self, needed: Rights) -> bool {
        self.0 & needed.0 == needed.0
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({:#x})", self.0)
    }
}

/// What holds for a call, whoever makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The WFP function without its version number.
    pub wfp_name: &'static str,
    /// The rights that the caller needs; missing ones are `ERROR_ACCESS_DENIED`.
    pub rights: Rights,
    /// Whether it changes the engine; in a read-only transaction that is `FWP_E_INCOMPATIBLE_TXN`.
    pub writes: bool,
    /// Whether it may be called inside an explicit transaction, else `FWP_E_TXN_IN_PROGRESS`.
    pub in_transaction: bool,
    /// Whether it may be called in a dynamic session, else `FWP_E_DYNAMIC_SESSION_IN_PROGRESS`.
    pub in_dynamic_session: bool,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $wfp:literal, $rights:expr, $mode:ident $($except:ident)*;)*) => {
        /// A call of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Operation] = &[$(Operation::$name),*];

            /// The rules of this call.
            pub const fn rules(self) -> Rules {
                match self {
                    $(Operation::$name => Rules {
                        wfp_name: $wfp,
                        rights: $rights,
                        writes: operations!(@writes $mode),
                        in_transaction: operations!(@in_transaction $($except)*),
                        in_dynamic_session: operations!(@in_dynamic $($except)*),
                    },)*
                }
            }
        }
    };
    (@writes writes) => { true };
    (@writes reads) => { false };
    (@in_transaction outside_transactions $($rest:ident)*) => { false };
    (@in_transaction $($rest:ident)*) => { true };
    (@in_dynamic outside_transactions static_sessions) => { false };
    (@in_dynamic $($rest:ident)*) => { true };
}

operations! {
    /// Opens a session.
    EngineOpen = "FwpmEngineOpen", Rights::OPEN, reads;
    /// Ends a session.
    EngineClose = "FwpmEngineClose", Rights::NONE, reads;
    /// Reads keys together with the contexts that hold them; ours.
    KeyRead = "(keys)", Rights::READ_KEYS, reads;
    /// Creates an SA context.
    SaContextCreate = "IPsecSaContextCreate", Rights::ADD, writes outside_transactions static_sessions;
    /// Has the engine choose the inbound SPI.
    SaContextGetSpi = "IPsecSaContextGetSpi", Rights::ADD, writes;
    /// Sets the inbound SPI.
    SaContextSetSpi = "IPsecSaContextSetSpi", Rights::ADD, writes;
    /// Adds the inbound bundle.
    SaContextAddInbound = "IPsecSaContextAddInbound", Rights::ADD, writes;
    /// Adds the outbound bundle.
    SaContextAddOutbound = "IPsecSaContextAddOutbound", Rights::ADD, writes;
    /// Starts the expiry of a context.
    SaContextExpire = "IPsecSaContextExpire", Rights::DELETE, writes;
    /// Deletes a context at once.
    SaContextDeleteById = "IPsecSaContextDeleteById", Rights::DELETE, writes outside_transactions static_sessions;
    /// Reads one context.
    SaContextGetById = "IPsecSaContextGetById", Rights::READ, reads;
    /// Creates an enumerator of contexts.
    SaContextCreateEnumHandle = "IPsecSaContextCreateEnumHandle", Rights::ENUM.and(Rights::READ), reads;
    /// Takes the next page of an enumerator.
    SaContextEnum = "IPsecSaContextEnum", Rights::ENUM.and(Rights::READ), reads;
    /// Frees an enumerator.
    SaContextDestroyEnumHandle = "IPsecSaContextDestroyEnumHandle", Rights::NONE, reads;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_the_documentation_says() {
        for operation in Operation::ALL {
            let rules = operation.rules();
            let call = rules.wfp_name.strip_prefix("IPsecSaContext");
            let confined = matches!(call, Some("Create" | "DeleteById"));
            let changes = confined
                || matches!(call, Some("GetSpi" | "SetSpi" | "AddInbound" | "AddOutbound" | "Expire"));
            assert_eq!(rules.writes, changes, "{operation:?}");
            assert_eq!(rules.in_transaction, !confined, "{operation:?}");
            assert_eq!(rules.in_dynamic_session, !confined, "{operation:?}");
        }
        assert!(Rights::ALL.contain(Operation::SaContextEnum.rules().rights));
        assert!(!Rights::ENUM.contain(Operation::SaContextEnum.rules().rights));
    }
}
