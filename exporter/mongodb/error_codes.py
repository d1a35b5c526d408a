"""What MongoDB's error codes mean for an insert: the one table of them.

Only what is known to be final makes a dead letter. Every code that is not in this table, a reply without a code and
code 0 are passing: the same insert is tried again.

Sources: the server's `src/mongo/base/error_codes.yml` (names, codes and categories) at commit 007ba93 of
November 2025, after MongoDB 8.2; the driver specifications "Retryable Writes" and "Server Discovery And Monitoring"
(github.com/mongodb/specifications); Atlas' documentation for code 8000 and Azure's for code 16500. What the codes
between 13027 and 17262 mean, which have no name, was read from the answers of MongoDB 6.0.
`tests/exporter/mongodb/error_codes.txt` is the server's whole list. A test compares it with this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Meaning(Enum):
    """What follows from an error code."""

    FINAL = "final"
    """The store never takes the document. As the error of a whole command: one of its documents."""
    FINAL_OF_DOCUMENT = "final of a document"
    """FINAL where the error names a document. As the error of a whole command it is about an option, so passing."""
    DUPLICATE = "duplicate"
    """A unique index holds the key already: that of `_id`, for a copy, or one of the user's own."""
    MISCONFIGURED = "misconfigured"
    """The same insert may succeed once somebody has changed something."""
    PASSING = "passing"
    """The same insert may succeed later."""


FINAL = """
15 Overflow
16 InvalidLength
22 InvalidBSON
52 DollarPrefixedFieldName
53 InvalidIdField
55 InvalidDBRef
56 EmptyFieldName
57 DottedFieldName
61 ShardKeyNotFound
116 DocTooLargeForCapped
121 DocumentValidationFailure
171 CannotIndexParallelArrays
357 InvalidBSONType
378 NonConformantBSON
10334 BSONObjectTooLarge
17280 OBSOLETE_KeyTooLong
"""
"""Names and codes, as in the lists below. Too large, too deep, not BSON, refused by a rule of the collection."""

FINAL_UNNAMED = frozenset(
    {
        # An index of the user's cannot hold the value.
        13027,  # 2d: a point that is not in its interval
        13068,  # 2d: a point with a single coordinate
        16755,  # 2dsphere: no geometry
        16766,  # hashed: an array
        17261,  # text: a language that is no string
        17262,  # text: a language that it does not know
    }
)

FINAL_OF_DOCUMENT = """
2 BadValue
"""
"""BadValue is a time field that a time-series collection misses, a name that starts with `$` or a document over 16 MiB
in servers before 5.0; as the error of a command it is a write concern or a time limit that the server does not take."""

DUPLICATE = """
11000 DuplicateKey
"""
DUPLICATE_UNNAMED = frozenset({11001, 12582})
"""Older servers' and other services' codes for the same."""

MISCONFIGURED = """
11 UserNotFound, 12 UnsupportedFormat, 13 Unauthorized, 18 AuthenticationFailed, 20 IllegalOperation, 31 RoleNotFound,
33 PrivilegeNotFound, 59 CommandNotFound, 69 AuthSchemaIncompatible, 71 ReplicaSetNotFound, 72 InvalidOptions,
73 InvalidNamespace, 76 NoReplicationEnabled, 79 UnknownReplWriteConcern, 80 RoleDataInconsistent,
93 InvalidReplicaSetConfig, 100 UnsatisfiableWriteConcern, 101 OutdatedClient, 115 CommandNotSupported,
123 NotAReplicaSet, 140 InvalidSSLConfiguration, 141 SSLHandshakeFailed, 148 ReadConcernMajorityNotEnabled,
166 CommandNotSupportedOnView, 167 OptionNotSupportedOnView, 188 IncompatibleServerVersion,
214 AuthenticationRestrictionUnmet, 224 QueryFeatureNotAllowed, 235 InternalErrorNotSupported, 238 NotImplemented,
263 OperationNotSupportedInTransaction, 293 InvalidSeedList, 294 InvalidTopologyType, 296 TopologySetNameRequired,
322 APIVersionError, 323 APIStrictError, 324 APIDeprecationError, 334 MechanismUnavailable, 347 APIMismatchError,
352 UnsupportedOpQueryCommand, 354 LoadBalancerSupportMismatch, 391 ReauthenticationRequired, 392 InvalidJWT,
404 LDAPRoleAcquisitionError, 13297 DatabaseDifferCase, 28769 NamespaceCannotBeSharded, 40413 IDLDuplicateField,
40414 IDLFailedToParse, 40415 IDLUnknownField, 50768 NotARetryableWriteCommand,
57986 RetryableInternalTransactionNotSupported, 4662500 IDLUnknownFieldPossibleMongocryptd
"""
MISCONFIGURED_UNNAMED = frozenset({8000})
"""Atlas: over the quota, no privilege."""

PASSING = """
0 OK, 1 InternalError, 3 OBSOLETE_DuplicateKey, 4 NoSuchKey, 5 GraphContainsCycle, 6 HostUnreachable, 7 HostNotFound,
8 UnknownError, 9 FailedToParse, 10 CannotMutateObject, 14 TypeMismatch, 17 ProtocolError, 19 CannotReuseObject,
21 EmptyArrayOperation, 23 AlreadyInitialized, 24 LockTimeout, 25 RemoteValidationError, 26 NamespaceNotFound,
27 IndexNotFound, 28 PathNotViable, 29 NonExistentPath, 30 InvalidPath, 32 RolesNotRelated, 34 CannotBackfillArray,
35 UserModificationFailed, 36 RemoteChangeDetected, 37 FileRenameFailed, 38 FileNotOpen, 39 FileStreamFailed,
40 ConflictingUpdateOperators, 41 FileAlreadyOpen, 42 LogWriteFailed, 43 CursorNotFound, 45 UserDataInconsistent,
46 LockBusy, 47 NoMatchingDocument, 48 NamespaceExists, 49 InvalidRoleModification, 50 MaxTimeMSExpired,
51 ManualInterventionRequired, 54 NotSingleValueField, 58 RoleModificationFailed, 60 OBSOLETE_DatabaseNotFound,
62 OplogOperationUnsupported, 63 OBSOLETE_StaleShardVersion, 64 WriteConcernTimeout, 65 MultipleErrorsOccurred,
66 ImmutableField, 67 CannotCreateIndex, 68 IndexAlreadyExists, 70 ShardNotFound, 74 NodeNotFound,
75 WriteConcernLegacyOK, 77 OperationIncomplete, 78 CommandResultSchemaViolation, 81 NoMatchParseContext,
82 NoProgressMade, 83 RemoteResultsUnavailable, 84 OBSOLETE_DuplicateKeyValue, 85 IndexOptionsConflict,
86 IndexKeySpecsConflict, 87 CannotSplit, 88 OBSOLETE_SplitFailed, 89 NetworkTimeout, 90 CallbackCanceled,
91 ShutdownInProgress, 92 SecondaryAheadOfPrimary, 94 NotYetInitialized, 95 NotSecondary, 96 OperationFailed,
97 NoProjectionFound, 98 DBPathInUse, 102 IncompatibleAuditMetadata, 103 NewReplicaSetConfigurationIncompatible,
104 NodeNotElectable, 105 IncompatibleShardingMetadata, 106 DistributedClockSkewed, 107 LockFailed,
108 InconsistentReplicaSetNames, 109 ConfigurationInProgress, 110 CannotInitializeNodeWithData, 111 NotExactValueField,
112 WriteConflict, 113 InitialSyncFailure, 114 InitialSyncOplogSourceMissing, 117 ConflictingOperationInProgress,
118 NamespaceNotSharded, 119 InvalidSyncSource, 120 OplogStartMissing, 122 OBSOLETE_ReadAfterOptimeTimeout,
124 IncompatibleElectionProtocol, 125 CommandFailed, 126 RPCProtocolNegotiationFailed, 127 UnrecoverableRollbackError,
128 LockNotFound, 129 LockStateChangeFailed, 130 SymbolNotFound, 132 OBSOLETE_ConfigServersInconsistent,
133 FailedToSatisfyReadPreference, 134 ReadConcernMajorityNotAvailableYet, 135 StaleTerm, 136 CappedPositionLost,
137 IncompatibleShardingConfigVersion, 138 RemoteOplogStale, 139 JSInterpreterFailure, 142 JSUncatchableError,
143 CursorInUse, 144 IncompatibleCatalogManager, 145 PooledConnectionsDropped, 146 ExceededMemoryLimit, 147 ZLibError,
149 NoConfigPrimary, 150 StaleEpoch, 151 OperationCannotBeBatched, 152 OplogOutOfOrder, 153 ChunkTooBig,
154 InconsistentShardIdentity, 155 CannotApplyOplogWhilePrimary, 156 OBSOLETE_NeedsDocumentMove,
157 CanRepairToDowngrade, 158 MustUpgrade, 159 DurationOverflow, 160 MaxStalenessOutOfRange,
161 IncompatibleCollationVersion, 162 CollectionIsEmpty, 163 ZoneStillInUse, 164 InitialSyncActive,
165 ViewDepthLimitExceeded, 168 InvalidPipelineOperator, 169 CommandOnShardedViewNotSupportedOnMongod,
170 TooManyMatchingDocuments, 172 TransportSessionClosed, 173 TransportSessionNotFound, 174 TransportSessionUnknown,
175 QueryPlanKilled, 176 FileOpenFailed, 177 ZoneNotFound, 178 RangeOverlapConflict, 179 WindowsPdhError,
180 BadPerfCounterPath, 181 AmbiguousIndexKeyPattern, 182 InvalidViewDefinition, 183 ClientMetadataMissingField,
184 ClientMetadataAppNameTooLarge, 185 ClientMetadataDocumentTooLarge, 186 ClientMetadataCannotBeMutated,
187 LinearizableReadConcernError, 189 PrimarySteppedDown, 190 MasterSlaveConnectionFailure,
191 OBSOLETE_BalancerLostDistributedLock, 192 FailPointEnabled, 193 OBSOLETE_NoShardingEnabled,
194 BalancerInterrupted, 195 ViewPipelineMaxSizeExceeded, 197 InvalidIndexSpecificationOption,
198 OBSOLETE_ReceivedOpReplyMessage, 199 ReplicaSetMonitorRemoved, 200 ChunkRangeCleanupPending,
201 CannotBuildIndexKeys, 202 NetworkInterfaceExceededTimeLimit, 203 ShardingStateNotInitialized,
204 TimeProofMismatch, 205 ClusterTimeFailsRateLimiter, 206 NoSuchSession, 207 InvalidUUID, 208 TooManyLocks,
209 StaleClusterTime, 210 CannotVerifyAndSignLogicalTime, 211 KeyNotFound, 212 IncompatibleRollbackAlgorithm,
213 DuplicateSession, 215 DatabaseDropPending, 216 ElectionInProgress, 217 IncompleteTransactionHistory,
218 UpdateOperationFailed, 219 FTDCPathNotSet, 220 FTDCPathAlreadySet, 221 IndexModified, 222 CloseChangeStream,
223 IllegalOpMsgFlag, 225 TransactionTooOld, 226 AtomicityFailure, 227 CannotImplicitlyCreateCollection,
228 SessionTransferIncomplete, 229 MustDowngrade, 230 DNSHostNotFound, 231 DNSProtocolError,
232 MaxSubPipelineDepthExceeded, 233 TooManyDocumentSequences, 234 RetryChangeStream, 236 ForTestingErrorExtraInfo,
237 CursorKilled, 239 SnapshotTooOld, 240 DNSRecordTypeMismatch, 241 ConversionFailure, 242 CannotCreateCollection,
243 IncompatibleWithUpgradedServer, 244 NOT_YET_AVAILABLE_TransactionAborted, 245 BrokenPromise,
246 SnapshotUnavailable, 247 ProducerConsumerQueueBatchTooLarge, 248 ProducerConsumerQueueEndClosed,
249 StaleDbVersion, 250 StaleChunkHistory, 251 NoSuchTransaction, 252 ReentrancyNotAllowed, 256 TransactionCommitted,
257 TransactionTooLarge, 258 UnknownFeatureCompatibilityVersion, 259 KeyedExecutorRetry, 260 InvalidResumeToken,
261 TooManyLogicalSessions, 262 ExceededTimeLimit, 264 TooManyFilesOpen, 265 OrphanedRangeCleanUpFailed,
266 FailPointSetFailed, 267 PreparedTransactionInProgress, 268 CannotBackup, 269 DataModifiedByRepair,
270 RepairedReplicaSetNode, 271 JSInterpreterFailureWithStack, 272 MigrationConflict,
273 ProducerConsumerQueueProducerQueueDepthExceeded, 274 ProducerConsumerQueueConsumed, 275 ExchangePassthrough,
276 IndexBuildAborted, 277 AlarmAlreadyFulfilled, 278 UnsatisfiableCommitQuorum, 279 ClientDisconnect,
280 ChangeStreamFatalError, 281 TransactionCoordinatorSteppingDown, 282 TransactionCoordinatorReachedAbortDecision,
283 WouldChangeOwningShard, 284 ForTestingErrorExtraInfoWithExtraInfoInNamespace, 285 IndexBuildAlreadyInProgress,
286 ChangeStreamHistoryLost, 287 TransactionCoordinatorDeadlineTaskCanceled, 288 ChecksumMismatch,
289 WaitForMajorityServiceEarlierOpTimeAvailable, 290 TransactionExceededLifetimeLimitSeconds,
291 NoQueryExecutionPlans, 292 QueryExceededMemoryLimitNoDiskUseAllowed, 295 InvalidHeartBeatFrequency,
297 HierarchicalAcquisitionLevelViolation, 298 InvalidServerType, 299 OCSPCertificateStatusRevoked,
300 RangeDeletionAbandonedBecauseCollectionWithUUIDDoesNotExist, 301 DataCorruptionDetected,
302 OCSPCertificateStatusUnknown, 303 SplitHorizonChange, 306 ReadThroughCacheLookupCanceled,
307 RangeDeletionAbandonedBecauseTaskDocumentDoesNotExist, 308 CurrentConfigNotCommittedYet,
309 ExhaustCommandFinished, 310 PeriodicJobIsStopped, 311 TransactionCoordinatorCanceled,
312 OperationIsKilledAndDelisted, 313 ResumableRangeDeleterDisabled, 314 ObjectIsBusy, 315 TooStaleToSyncFromSource,
316 QueryTrialRunCompleted, 317 ConnectionPoolExpired, 318 ForTestingOptionalErrorExtraInfo, 319 MovePrimaryInProgress,
326 OplogQueryMinTsMissing, 330 SkipCommandExecution, 331 FailedToRunWithReplyBuilder, 332 CannotDowngrade,
333 ServiceExecutorInShutdown, 336 TimeseriesBucketCleared, 337 AuthenticationAbandoned,
338 ReshardCollectionInProgress, 339 NoSuchReshardCollection, 340 ReshardCollectionCommitted,
341 ReshardCollectionAborted, 342 ReshardingCriticalSectionTimeout, 343 ShardCannotRefreshDueToLocksHeld,
344 AuditingNotEnabled, 345 RuntimeAuditConfigurationNotEnabled, 346 ChangeStreamInvalidated,
348 ChangeStreamTopologyChange, 349 KeyPatternShorterThanBound, 350 ReshardCollectionTruncatedError,
351 ChangeStreamStartAfterInvalidate, 355 InterruptedDueToStorageChange, 356 TxnRetryCounterTooOld,
358 InternalTransactionNotSupported, 359 CannotConvertIndexToUnique, 360 PlacementVersionRefreshCanceled,
361 CollectionUUIDMismatch, 362 FutureAlreadyRetrieved, 363 RetryableTransactionInProgress, 365 TemporarilyUnavailable,
366 WouldChangeOwningShardDeletedNoDocument, 367 FLECompactionPlaceholder, 369 FLETransactionAbort,
370 CannotDropShardKeyIndex, 371 UserWritesBlocked, 372 CloseConnectionForShutdownCommand,
373 InternalTransactionsExhaustiveFindHasMore, 374 TransactionAPIMustRetryTransaction,
375 TransactionAPIMustRetryCommit, 376 ChangeStreamNotEnabled, 377 FLEMaxTagLimitExceeded,
379 DatabaseMetadataRefreshCanceled, 380 RequestAlreadyFulfilled,
381 ReshardingCoordinatorServiceConflictingOperationInProgress, 382 RemoteCommandExecutionError,
383 CollectionIsEmptyLocally, 384 ConnectionError, 385 ConflictingServerlessOperation, 386 DuplicateKeyId,
387 EncounteredFLEPayloadWhileApplyingHmac, 388 TransactionTooLargeForCache, 389 LibmongocryptError,
390 InvalidSignature, 393 InvalidTenantId, 395 TruncatedSerialization, 396 IndexInformationTooLarge,
398 StreamTerminated, 400 CannotUpgrade, 401 ResumeTenantChangeStream, 402 ResourceExhausted,
403 UnsupportedShardingEventNotification, 405 CannotCreateChunkDistribution,
406 MigrationBlockingOperationCoordinatorCleaningUp, 407 PooledConnectionAcquisitionExceededTimeLimit,
408 CannotInsertTimeseriesBucketsWithMixedSchema, 409 TimeseriesBucketCompressionFailed, 410 TimeseriesBucketFrozen,
411 QueryRejectedBySettings, 412 UpdatesStillPending, 413 TransactionParticipantFailedUnyield,
414 AddOrRemoveShardInProgress, 415 StreamProcessorDoesNotExist, 416 StreamProcessorAlreadyExists,
417 StreamProcessorWorkerShuttingDown, 418 StreamProcessorWorkerOutOfMemory, 419 StreamProcessorKafkaConnectionError,
420 StreamProcessorInvalidOptions, 421 StreamProcessorAtlasConnectionError, 422 StreamProcessorAtlasUnauthorizedError,
423 StreamProcessorSourceDocTooLarge, 424 StreamProcessorTooManyOutputTargets,
425 StreamProcessorCannotResumeFromSource, 426 IndexIsEmpty, 427 DbCheckSecondaryBatchTimeout,
428 DbCheckAttemptOnClusteredCollectionIdIndex, 429 DbCheckInconsistentHash, 430 IndexKeyOrderViolation,
431 ChunkMetadataInconsistency, 432 OfflineValidationFailedToComplete, 433 AdmissionQueueOverflow,
434 NoDistinctScansForDistinctEligibleQuery, 435 QueryStatsFailedToRecord, 436 StreamProcessorHTTPSConnectionError,
440 StreamProcessorExternalFunctionConnectionError, 442 RetryMultiPlanning, 443 StreamProcessorS3ConnectionError,
444 StreamProcessorS3Error, 445 DatabaseMetadataRefreshCanceledDueToFCVTransition,
446 ClusterUMCErrorWithWriteConcernError, 447 ObjectAlreadyExists, 448 StreamProcessorInvalidNamespace,
449 RateLimitExceeded, 450 PooledConnectionAcquisitionRejected, 451 StreamProcessorS3TokenExpired,
452 ReleaseMemoryShardError, 453 InterruptedDueToReshardingCriticalSection, 454 ReplayClientConfigurationError,
455 ReplayClientNotConnected, 456 ReplayClientFailedToProcessBSON, 457 ReplayClientInternalError,
458 ReplayClientSessionSchedulerError, 459 ReplayClientSessionSimulationError,
460 StreamProcessorKinesisConnectionError, 461 StreamProcessorKinesisError, 462 IngressRequestRateLimitExceeded,
9001 SocketException, 9996 OBSOLETE_RecvStaleConfig, 10003 CannotGrowDocumentInCappedNamespace,
10058 LegacyNotPrimary, 10107 NotWritablePrimary, 11600 InterruptedAtShutdown, 11601 Interrupted,
11602 InterruptedDueToReplStateChange, 12586 BackgroundOperationInProgressForDatabase,
12587 BackgroundOperationInProgressForNamespace, 13104 OBSOLETE_PrepareConfigsFailed,
13113 MergeStageNoMatchingDocument, 13388 StaleConfig, 13435 NotPrimaryNoSecondaryOk, 13436 NotPrimaryOrSecondary,
14031 OutOfDiskSpace, 31082 SearchNotEnabled, 46841 ClientMarkedKilled, 50915 BackupCursorOpenConflictWithCheckpoint,
56846 ConfigServerUnreachable, 91331 RetriableRemoteCommandFailure, 640570 IllegalChangeToExpectedShardVersion,
640571 IllegalChangeToExpectedDatabaseVersion, 1003141 RemoveShardDrainingInProgress, 4938500 IndexNotFoundCachedPlan,
9737301 UnsupportedCbrNode, 9751901 HistogramCEFailure, 9751902 SamplingCEFailure, 9751903 CEFailure,
10045600 InterruptedDueToFCVChange, 10171600 ReadThroughCacheTimeMonotonicityViolation
"""
"""Listed so that a code of a new server is noticed: each was looked at, and none says that a document is to blame."""

PASSING_UNNAMED = frozenset({12501, 16500})
"""Over a quota; throttled by Cosmos DB."""


def parse(listing: str) -> Mapping[int, str]:
    """The names of a listing of `code name`, with commas or line ends between them, by their codes."""
    pairs = (entry.split() for entry in listing.replace(",", "\n").splitlines() if entry.strip())
    return {int(code): name for code, name in pairs}


_MEANINGS: Mapping[int, Meaning] = {
    **dict.fromkeys([*parse(FINAL), *FINAL_UNNAMED], Meaning.FINAL),
    **dict.fromkeys(parse(FINAL_OF_DOCUMENT), Meaning.FINAL_OF_DOCUMENT),
    **dict.fromkeys([*parse(DUPLICATE), *DUPLICATE_UNNAMED], Meaning.DUPLICATE),
    **dict.fromkeys([*parse(MISCONFIGURED), *MISCONFIGURED_UNNAMED], Meaning.MISCONFIGURED),
}


def meaning(code: int) -> Meaning:
    """What a code means; PASSING for one that nobody knows."""
    return _MEANINGS.get(code, Meaning.PASSING)
