"""A small server that speaks MongoDB's wire protocol and answers as compatible services do, where MongoDB differs.

What each answers was taken from the services' documentation and from reports of their users; `personalities` names it.
"""

from tests.services.personalities import COSMOS_DB, DOCUMENT_DB, FERRET_DB, PERSONALITIES, Personality
from tests.services.server import StubServer, serving

__all__ = ["COSMOS_DB", "DOCUMENT_DB", "FERRET_DB", "PERSONALITIES", "Personality", "StubServer", "serving"]
