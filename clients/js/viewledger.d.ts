/** What the page knows of one view: a play that the platform signed, or the view's own facts. */
export type Play = SignedPlay | UnsignedPlay;

interface Shown {
  device_type?: string;
  quality?: string;
  referrer?: string;
}

/** A signed play, as `POST /v1/plays` answers it. Further fields of the answer may be handed in; they are not sent. */
export interface SignedPlay extends Shown {
  /** The token. */
  play: string;
  /** The play's id, which is the event's id whatever is sent. */
  event_id?: string;
}

/** A view without a signed play. */
export interface UnsignedPlay extends Shown {
  /** A UUID; the library makes one where it is absent. */
  event_id?: string;
  video_id: string;
  user_id: string;
  session_id: string;
  revenue_eligible: boolean;
  /** The country, as a code of ISO 3166. */
  geo_location?: string;
}

export interface Advertisement {
  ad_id: string;
  ad_type?: string;
  /** Fractions are cut off. */
  watched_seconds?: number;
}

/** An event as it is sent; docs/view-event.schema.json describes it. */
export interface ViewEvent {
  event_id: string;
  timestamp: string;
  view_duration: number;
  ad_views?: Advertisement[];
  [field: string]: unknown;
}

/** Why an event will not be sent again: the collector's reasons, or `not_kept` if too many events waited. */
export interface Reason {
  code: string;
  detail: string;
}

export interface DeliveryOptions {
  /** Called for each event that the collector refuses for good, and for each that is not kept. */
  onRefused?: (event: ViewEvent, reasons: Reason[]) => void;
}

/** Measures one media element and makes one event of each view. */
export interface Watch {
  /** Add an advertisement that was shown before or during the view. One with an id reported before is ignored. */
  advertisement(shown: Advertisement): void;
  /** End the view and send its event; if the element plays on, a new view begins. */
  end(): void;
  /** End the view and measure no more. */
  stop(): void;
}

/** Keeps events until the collector has answered them, over reloads and in several tabs. */
export declare class Delivery {
  /**
   * @param url the collector's `/v1/events`
   * @throws TypeError if it is not a URL
   */
  constructor(url: string, options?: DeliveryOptions);
  /** Measure an element. `begin` is called when a view begins, and returns its play. */
  watch(media: HTMLMediaElement, begin: () => Play | Promise<Play>): Watch;
}
