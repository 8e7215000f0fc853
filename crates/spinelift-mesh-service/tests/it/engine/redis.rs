//! What only the engine in Redis has to stand: its server, and other nodes.

use super::*;
