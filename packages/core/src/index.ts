/**
 * The framework-agnostic heart of Sluice. Applications import `@sluice/express`, `@sluice/koa`, `@sluice/fastify` or
 * `@sluice/node`; this package is for those who write an adapter or a store.
 */
export { type Backend, type BackendEnv, memory } from './backend.ts'
export type { Batch, BatchAnswer, BatchLoad, BatchMemo, BatchOptions, Loader } from './batch/batch.ts'
export type { MakeBatch, MemoBatchOptions } from './batches.ts'
export type { ConditionOptions } from './cache/condition.ts'
export { decodeRecord, encodeRecord, type FrameHead, readHead, recordFrom } from './cache/frame.ts'
export type { InvalidationTarget, TagSource } from './cache/invalidation.ts'
export { isBetterForm, sameForm } from './cache/local-forms.ts'
export { MemoryCacheStore, type MemoryCacheStoreOptions } from './cache/memory-store.ts'
export type { CacheOptions, CacheSettings } from './cache/options.ts'
export type { CacheRecord, RecordTarget, StoredForm } from './cache/record.ts'
export { everythingTag, recordTags } from './cache/record-tags.ts'
export { expireRecord, shiftRecord } from './cache/record-times.ts'
export type { CacheStats, PurgeOptions, PurgeReport } from './cache/response-cache.ts'
export type { CacheCounters } from './cache/stats.ts'
export type {
  CacheStore,
  FillEnd,
  InvalidateMode,
  LeaseState,
  SetOutcome,
  StoreOut,
  StoreUsage,
  Vacancy,
  Variant,
  VariantSelector,
  VariantSpec,
  Wants,
} from './cache/store.ts'
export { type Cancel, type Clock, systemClock } from './clock.ts'
export type { DecompressOptions } from './compress/decompress.ts'
export type { BestOptions, CompressOptions } from './compress/options.ts'
export type { RouteMatch } from './compress/route-match.ts'
export type { TypeMatch } from './compress/types.ts'
export type { Coding, ZlibParams } from './compress/zlib-codings.ts'
export type { AnyFunction, FunctionDecorator } from './decorate.ts'
export type { Defer, DeferOptions, DeferredWork, DeferStats } from './deferred.ts'
export { Engine, type InstanceEvents, type SluiceOptions, type SluiceStats } from './engine.ts'
export { isSluiceError, optionError, SluiceError, type SluiceErrorCode } from './errors.ts'
export { Events, type Listener, type SluiceEvents } from './events.ts'
export { by, type KeyFunction } from './exchange/by.ts'
export type { RequestContext, ResponseContext } from './exchange/context.ts'
export type {
  BodyDecoding,
  BodyPlan,
  Exchange,
  Opening,
  Outcome,
  Pipeline,
  ReadObserver,
  Reply,
  RequestChange,
  ResponseControl,
  ResponseHead,
} from './exchange/exchange.ts'
export type { InvalidationOrder } from './exchange/invalidation-order.ts'
export { joinControls } from './exchange/join-controls.ts'
export { mergedFields, mergeLists } from './exchange/merge-fields.ts'
export { notesFor, notesOn } from './exchange/notes.ts'
export type { RequestProperty, RequestView } from './exchange/request-view.ts'
export type { HandlerDecorators, LimitedDecorator, WrapHandler } from './handler-decorators.ts'
export { displayName } from './http/field-case.ts'
export { Fields } from './http/fields.ts'
export { splitTarget } from './http/locate.ts'
export { Breaker } from './limit/breaker.ts'
export type { LimitEvents } from './limit/events.ts'
export { type FlexibleLimiter, type FlexibleOptions, flexible } from './limit/flexible.ts'
export type { LimitPipeline } from './limit/limit-pipeline.ts'
export type { CheckOptions, CheckResult, Limiter } from './limit/limiter.ts'
export type { LimitStats } from './limit/limiter-stats.ts'
export type { Denial, DenialBody, HeaderStyle, PolicyInput, PolicyOptions } from './limit/options.ts'
export {
  type Charge,
  type LimitStore,
  type LimitStoreUsage,
  type Quota,
  type Settlement,
  subjectLength,
  type Verdict,
} from './limit/store.ts'
export { chain, isPromise, type MaybePromise } from './maybe-promise.ts'
export type { MakeMemo, Memo, MemoInfo } from './memo/memo.ts'
export type { MemoOptions } from './memo/options.ts'
export type { MemoSerializer } from './memo/values.ts'
export type { AsyncFunction, Memos } from './memos.ts'
export { checkOptions, type Rule, rule, type Schema, suggest } from './options.ts'
export type { Cursor, CursorValue } from './page/cursor.ts'
export type { FieldsOptions } from './page/fields-options.ts'
export { type Keyset, type KeysetColumn, type KeysetSql, type KeysetSqlOptions, keysetSql } from './page/keyset.ts'
export type { PageLinks } from './page/links.ts'
export type { PageParams, PaginateOptions } from './page/options.ts'
export type { Page } from './page/page.ts'
export { pageOf } from './page/pages.ts'
export { paginateArray } from './page/paginate-array.ts'
export type { ReplyAbout, ReplyInfo } from './page/reply-info.ts'
export type { OrderColumn, Sort, SortColumn } from './page/sort.ts'
export type { ShedEvents, ShedOptions, ShedStats } from './shed/shedder.ts'
export { createSurface, type LimitMiddleware, type QueryMiddleware, type Sluice } from './surface.ts'
export { cacheOptions, checkSources } from './surface-arguments.ts'
export { type ByteSize, byteSize, type Duration, durationMs } from './units.ts'
