/**
 * The framework-agnostic heart of Sluice. Applications import `@sluice/express`, `@sluice/koa`, `@sluice/fastify` or
 * `@sluice/node`; this package is for those who write an adapter or a store.
 */

export type { Calendar, CalendarUnit, Period } from './base/calendar.ts'
export { type Cancel, type Clock, systemClock } from './base/clock.ts'
export { afterWaiting } from './base/deadline.ts'
export { isSluiceError, optionError, SluiceError, type SluiceErrorCode } from './base/errors.ts'
export {
  type AnswerEvent,
  type AnswerResult,
  type AuditEvent,
  type BackendOperation,
  Events,
  type Listener,
  type SluiceEvents,
  unmatched,
} from './base/events.ts'
export { chain, isPromise, type MaybePromise } from './base/maybe-promise.ts'
export { checkOptions, type Rule, rule, type Schema, suggest } from './base/options.ts'
export type { Span, SpanFacts, SpanName, Tracing } from './base/tracing/tracing.ts'
export { type ByteSize, byteSize, type Duration, durationMs } from './base/units.ts'
export type { Batch, BatchAnswer, BatchLoad, BatchMemo, BatchOptions, Loader } from './batch/batch.ts'
export type { ConditionOptions } from './cache/condition.ts'
export { decodeRecord, encodeRecord, type FrameHead, readHead, recordFrom } from './cache/entry/frame.ts'
export type { CacheRecord, RecordTarget, StoredForm } from './cache/entry/record.ts'
export { everythingTag, recordTags } from './cache/entry/record-tags.ts'
export { expireRecord, shiftRecord } from './cache/entry/record-times.ts'
export { recordWith } from './cache/entry/record-with.ts'
export type { Explanation } from './cache/explain.ts'
export type { FindBase, FoundAnswers, StoredAnswer } from './cache/find.ts'
export { isBetterForm, sameForm } from './cache/forms/local-forms.ts'
export type { FrontAnswer, FrontAsking, FrontDoor, SeenAs } from './cache/front/front-door.ts'
export type { InvalidationTarget, TagSource } from './cache/invalidation.ts'
export type { CacheOptions, CacheSettings } from './cache/policy/options.ts'
export type { CacheStats, PurgeOptions, PurgeReport } from './cache/response-cache.ts'
export type { CacheCounters } from './cache/stats.ts'
export { MemoryCacheStore, type MemoryCacheStoreOptions } from './cache/store/memory-store.ts'
export type {
  BusFigures,
  CacheStore,
  FillEnd,
  InvalidateMode,
  InventoryItem,
  InventoryQuery,
  LeaseState,
  SetOutcome,
  StoreOut,
  StoreUsage,
  Vacancy,
  Variant,
  VariantSelector,
  VariantSpec,
  Wants,
} from './cache/store/store.ts'
export type { DecompressOptions } from './compress/decompress.ts'
export type { BestOptions, CompressOptions } from './compress/options.ts'
export type { RouteMatch } from './compress/route-match.ts'
export type { TypeMatch } from './compress/types.ts'
export type { Coding, ZlibParams } from './compress/zlib-codings.ts'
export type { AnyFunction, FunctionDecorator } from './decorate/decorate.ts'
export type { Defer, DeferOptions, DeferredWork, DeferStats } from './defer/deferred.ts'
export { type AddressList, addressList } from './exchange/client/address-list.ts'
export { by, type KeyFunction } from './exchange/client/by.ts'
export type { IdentityFunction } from './exchange/client/identity.ts'
export type { RequestContext, ResponseContext } from './exchange/context.ts'
export type {
  BodyDecoding,
  BodyPlan,
  Exchange,
  Opening,
  Outcome,
  Pipeline,
  Reply,
  RequestChange,
  ResponseControl,
  ResponseHead,
} from './exchange/exchange.ts'
export type { InvalidationOrder } from './exchange/invalidation-order.ts'
export { joinControls } from './exchange/join-controls.ts'
export { mergedFields, mergeLists } from './exchange/merge-fields.ts'
export { eachRead } from './exchange/reads/each-read.ts'
export { parseQuery } from './exchange/reads/query-params.ts'
export type { Input, ReadObserver } from './exchange/reads/read-observer.ts'
export { cookieTerm, inputTerm, keyOf, namesTerm, placeOf, segmentOf, type Term } from './exchange/reads/term.ts'
export { RefusalError } from './exchange/refusal-error.ts'
export { type Notes, notesFor, notesOn } from './exchange/request-state.ts'
export type { FrontNote, RefreshTicket, RequestProperty, RequestView, SentHead } from './exchange/request-view.ts'
export { runBehind } from './exchange/run-behind.ts'
export type { AnswerFigures } from './figures/answer-counts.ts'
export {
  collectFigures,
  type Figures,
  type FiguresOptions,
  type FiguresSnapshot,
  type FiguresSource,
} from './figures/figures.ts'
export {
  durationBoundsMs,
  type ExemplarFigures,
  type HistogramFigures,
  type TraceContext,
} from './figures/histogram.ts'
export { BoundedNames, methodLabel, reasonLabel } from './figures/labels.ts'
export type {
  BackendFigures,
  CompressionFigures,
  FillFigures,
  InvalidationFigures,
  LookupFigures,
} from './figures/tallies.ts'
export { displayName } from './http/fields/field-case.ts'
export { Fields } from './http/fields/fields.ts'
export { splitList, splitParameters, unquote } from './http/fields/lists.ts'
export { splitTarget } from './http/locate.ts'
export { bestCoding } from './http/selection/codings.ts'
export { weightOf } from './http/selection/weight.ts'
export type { AlgorithmKind, StateKind } from './limit/algorithms/algorithm.ts'
export { type ParameterOf, parameters } from './limit/algorithms/parameters.ts'
export { missingAfter } from './limit/algorithms/token-bucket.ts'
export { LimitError } from './limit/answer/limit-error.ts'
export type { Ban, BanRequest, BanSubject } from './limit/bans/bans.ts'
export type { BanOptions } from './limit/bans/options.ts'
export { asksBan } from './limit/bans/refusals.ts'
export type { LimitPipeline } from './limit/charge/limit-pipeline.ts'
export type { CheckOptions, CheckResult } from './limit/checks.ts'
export type { BanEvent, LimitEvents } from './limit/events.ts'
export type { Limiter } from './limit/limiter.ts'
export type { LimitStats, Occupancy, PolicyFigures, PolicyStats } from './limit/limiter-stats.ts'
export type { Denial, DenialBody, HeaderStyle, PolicyInput, PolicyOptions } from './limit/policy/options.ts'
export type { SlowDownOptions } from './limit/policy/slow-down.ts'
export { Breaker } from './limit/store/breaker.ts'
export { type FlexibleLimiter, type FlexibleOptions, flexible } from './limit/store/flexible.ts'
export {
  type Charge,
  type HeldBan,
  type LimitStore,
  type LimitStoreUsage,
  type Quota,
  type Settlement,
  subjectLength,
  type Verdict,
} from './limit/store/store.ts'
export type { MakeMemo, Memo, MemoInfo } from './memo/memo.ts'
export type { MemoOptions } from './memo/options.ts'
export type { MemoCounts } from './memo/parts.ts'
export type { MemoSerializer } from './memo/values.ts'
export type { FieldsOptions } from './page/fields/fields-options.ts'
export type { Cursor, CursorValue } from './page/keyset/cursor.ts'
export {
  type Keyset,
  type KeysetColumn,
  type KeysetSql,
  type KeysetSqlOptions,
  keysetSql,
} from './page/keyset/keyset.ts'
export type { OrderColumn, Sort, SortColumn } from './page/keyset/sort.ts'
export type { PageLinks } from './page/links.ts'
export type { PageParams, PaginateOptions } from './page/options.ts'
export type { Page } from './page/page.ts'
export { pageOf } from './page/pages.ts'
export { paginateArray } from './page/paginate-array.ts'
export type { ReplyAbout, ReplyInfo } from './page/reply-info.ts'
export { ShedError, type ShedEvents, type ShedOptions, type ShedStats } from './shed/shedder.ts'
export { type Backend, type BackendEnv, type Board, memory, type ServerFacts } from './sluice/backend.ts'
export type { MakeBatch, MemoBatchOptions } from './sluice/batches.ts'
export {
  Engine,
  type ReadyOptions,
  type SluiceOptions,
  type SluiceStats,
} from './sluice/engine.ts'
export type { HandlerDecorators, LimitedDecorator, WrapHandler } from './sluice/handler-decorators.ts'
export type { InstanceEvents } from './sluice/instance-events.ts'
export type { LogOptions } from './sluice/log/log.ts'
export type { LogTarget } from './sluice/log/logger.ts'
export type { AsyncFunction, Memos } from './sluice/memos.ts'
export { type OperatorAccess, operatorAccess } from './sluice/operator-access.ts'
export {
  createSurface,
  type FrontAccess,
  frontAccess,
  type LimitMiddleware,
  type QueryMiddleware,
  type Sluice,
} from './sluice/surface.ts'
export { cacheOptions, checkSources } from './sluice/surface-arguments.ts'
