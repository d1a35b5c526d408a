"""A small server that speaks MongoDB's wire protocol and answers as compatible services do, where MongoDB differs.

What each answers, and in which words, was written from what is known of the services, which `personalities` has. No
traffic of theirs was captured.
"""

from tests.services.personalities import COSMOS_DB, DOCUMENT_DB, FERRET_DB, PERSONALITIES, Personality
from tests.services.server import StubServer, serving

__all__ = ["COSMOS_DB", "DOCUMENT_DB", "FERRET_DB", "PERSONALITIES", "Personality", "StubServer", "serving"]
