"""What MongoDB's error codes mean for an insert.

Sources: the server's `src/mongo/base/error_codes.yml` (names and categories), the MongoDB manual's page "Error Codes",
the driver specifications "Retryable Writes" and "Server Discovery And Monitoring" (github.com/mongodb/specifications),
and Atlas' documentation for code 8000.
"""

from __future__ import annotations

DUPLICATE_KEY = 11000

TRANSIENT: frozenset[int] = frozenset(
    {
        # No writable primary, or one that is going ("not primary", "node is recovering" of the driver specifications).
        91,  # ShutdownInProgress
        189,  # PrimarySteppedDown
        10058,  # LegacyNotPrimary
        10107,  # NotWritablePrimary
        11600,  # InterruptedAtShutdown
        11602,  # InterruptedDueToReplStateChange
        13435,  # NotPrimaryNoSecondaryOk
        13436,  # NotPrimaryOrSecondary
        133,  # FailedToSatisfyReadPreference: a mongos that finds no primary
        216,  # ElectionInProgress
        # The network between a mongos and its shards.
        6,  # HostUnreachable
        7,  # HostNotFound
        89,  # NetworkTimeout
        9001,  # SocketException
        145,  # PooledConnectionsDropped
        149,  # NoConfigPrimary
        317,  # ConnectionPoolExpired
        384,  # ConnectionError
        # Out of time.
        50,  # MaxTimeMSExpired
        202,  # NetworkInterfaceExceededTimeLimit
        262,  # ExceededTimeLimit
        290,  # TransactionExceededLifetimeLimitSeconds
        407,  # PooledConnectionAcquisitionExceededTimeLimit
        # Interrupted, or in another operation's way.
        24,  # LockTimeout
        46,  # LockBusy
        90,  # CallbackCanceled
        107,  # LockFailed
        112,  # WriteConflict
        117,  # ConflictingOperationInProgress
        134,  # ReadConcernMajorityNotAvailableYet
        175,  # QueryPlanKilled
        215,  # DatabaseDropPending
        221,  # IndexModified
        239,  # SnapshotTooOld
        246,  # SnapshotUnavailable
        276,  # IndexBuildAborted
        279,  # ClientDisconnect
        355,  # InterruptedDueToStorageChange
        11601,  # Interrupted
        # Chunks on the move between shards.
        63,  # StaleShardVersion
        150,  # StaleEpoch
        249,  # StaleDbVersion
        250,  # StaleChunkHistory
        272,  # MigrationConflict
        319,  # MovePrimaryInProgress
        342,  # ReshardingCriticalSectionTimeout
        13388,  # StaleConfig
        # Out of resources.
        146,  # ExceededMemoryLimit
        264,  # TooManyFilesOpen
        365,  # TemporarilyUnavailable
        371,  # UserWritesBlocked
        402,  # ResourceExhausted
        433,  # AdmissionQueueOverflow
        449,  # RateLimitExceeded
        14031,  # OutOfDiskSpace
    }
)
"""The same insert may succeed later."""

MISCONFIGURED: frozenset[int] = frozenset(
    {
        11,  # UserNotFound
        13,  # Unauthorized
        18,  # AuthenticationFailed
        31,  # RoleNotFound
        73,  # InvalidNamespace
        79,  # UnknownReplWriteConcern
        100,  # UnsatisfiableWriteConcern
        166,  # CommandNotSupportedOnView: a view has the collection's name
        214,  # AuthenticationRestrictionUnmet
        323,  # APIStrictError
        334,  # MechanismUnavailable
        391,  # ReauthenticationRequired, which the driver has tried already
        8000,  # AtlasError: over the quota, no privilege
    }
)
"""The same insert may succeed once somebody has changed something."""

MALFORMED: frozenset[int] = frozenset(
    {
        15,  # Overflow: nested deeper than the server parses
        16,  # InvalidLength
        22,  # InvalidBSON
        357,  # InvalidBSONType
        378,  # NonConformantBSON
        10334,  # BSONObjectTooLarge
    }
)
"""As the error of a whole command: a document among those sent made the command unreadable."""
