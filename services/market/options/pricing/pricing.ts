import { normalCdf, normalDensity } from './normal.ts';

/** The value of one option and its sensitivities, per share. */
export interface Valuation {
  /** Dollars. */
  price: number;
  /** Dollars a dollar of the underlying. */
  delta: number;
  /** Delta a dollar of the underlying. */
  gamma: number;
  /** Dollars a calendar day (a year / 365), negative when time costs. */
  theta: number;
  /** Dollars a volatility point (0.01). */
  vega: number;
  /** Dollars a percentage point (0.01) of the interest rate. */
  rho: number;
}

/** An object that `valueOption` fills, for many options one after the other. */
export const noValuation = (): Valuation => ({ price: 0, delta: 0, gamma: 0, theta: 0, vega: 0, rho: 0 });

const DAYS_PER_YEAR = 365;
const POINTS_PER_UNIT = 100;

/**
 * Black-Scholes-Merton: the value of a European option on an underlying that pays a continuous dividend yield.
 *
 * `spot` and `strike` in dollars a share, `years` to expiry (calendar days / 365), `rate` and `dividendYield` annual and continuously compounded (0.05 = 5 %),
 * `volatility` annual (0.25 = 25 %). The result is written to `into` and returned: with one object for a whole chain nothing is allocated.
 *
 *     d1 = (ln(S/K) + (r - q + σ²/2) T) / (σ √T),  d2 = d1 - σ √T,  w = 1 for a call, -1 for a put
 *     price = w (S e^(-qT) N(w d1) - K e^(-rT) N(w d2))
 *     delta = w e^(-qT) N(w d1)              gamma = e^(-qT) n(d1) / (S σ √T)
 *     vega  = S e^(-qT) n(d1) √T             theta = -S e^(-qT) n(d1) σ / (2 √T) + w (q S e^(-qT) N(w d1) - r K e^(-rT) N(w d2))
 *     rho   = w T K e^(-rT) N(w d2)
 *
 * Source: E. G. Haug, The Complete Guide to Option Pricing Formulas, 2nd edition (2007), the generalised formula (1.1.6) with cost of carry r - q and its Greeks in
 * chapter 2. Without time or volatility left the value is the discounted intrinsic value and its derivatives. Invalid input (a price ≤ 0, negative time or
 * volatility, NaN anywhere) gives NaN in all fields.
 */
export function valueOption(
  spot: number,
  strike: number,
  years: number,
  rate: number,
  dividendYield: number,
  volatility: number,
  isPut: boolean,
  into: Valuation = noValuation(),
): Valuation {
  const yieldDiscount = Math.exp(-dividendYield * years);
  const spotLeg = spot * yieldDiscount;
  const strikeLeg = strike * Math.exp(-rate * years);
  const rootTime = Math.sqrt(years);
  const deviation = volatility * rootTime;
  const isSound = isPositive(spotLeg) && isPositive(strikeLeg) && years >= 0 && volatility >= 0 && deviation < Infinity;
  if (!isSound) return fill(into, NaN, NaN, NaN, NaN, NaN, NaN);
  const side = isPut ? -1 : 1;
  if (deviation === 0) return valueCertain(into, side, spotLeg, strikeLeg, yieldDiscount, rate, dividendYield, years);

  const d1 = Math.log(spotLeg / strikeLeg) / deviation + 0.5 * deviation;
  const d2 = d1 - deviation;
  const density = normalDensity(d1);
  // S e^(-qT) n(d1) = K e^(-rT) n(d2): one exponential, and an error in it is common to both legs of a price that is their small difference.
  const spotValue = spotLeg * normalCdf(side * d1, density);
  const strikeValue = strikeLeg * normalCdf(side * d2, (density * spotLeg) / strikeLeg);
  const spotDensity = spotLeg * density;
  const drift = side * (dividendYield * spotValue - rate * strikeValue);
  return fill(
    into,
    // Far out of the money the two legs may round to a difference below 0.
    Math.max(side * (spotValue - strikeValue), 0),
    (side * spotValue) / spot,
    (yieldDiscount * density) / (spot * deviation),
    (drift - (spotDensity * volatility) / (2 * rootTime)) / DAYS_PER_YEAR,
    (spotDensity * rootTime) / POINTS_PER_UNIT,
    (side * years * strikeValue) / POINTS_PER_UNIT,
  );
}

/**
 * The limit of no deviation. Exactly at the money forward delta and rho jump: they are given as the half, and gamma and theta, which have no limit there, as NaN.
 */
function valueCertain(
  into: Valuation,
  side: 1 | -1,
  spotLeg: number,
  strikeLeg: number,
  yieldDiscount: number,
  rate: number,
  dividendYield: number,
  years: number,
): Valuation {
  const intrinsic = side * (spotLeg - strikeLeg);
  const rho = (side * years * strikeLeg) / POINTS_PER_UNIT;
  if (intrinsic === 0) {
    const vega = (spotLeg * normalDensity(0) * Math.sqrt(years)) / POINTS_PER_UNIT;
    return fill(into, 0, (side * yieldDiscount) / 2, NaN, NaN, vega, rho / 2);
  }
  if (intrinsic < 0) return fill(into, 0, 0, 0, 0, 0, 0);
  const drift = side * (dividendYield * spotLeg - rate * strikeLeg);
  return fill(into, intrinsic, side * yieldDiscount, 0, drift / DAYS_PER_YEAR, 0, rho);
}

/** And finite: no, too, for NaN. */
function isPositive(value: number): boolean {
  return value > 0 && value < Infinity;
}

function fill(into: Valuation, price: number, delta: number, gamma: number, theta: number, vega: number, rho: number): Valuation {
  into.price = price;
  into.delta = delta;
  into.gamma = gamma;
  into.theta = theta;
  into.vega = vega;
  into.rho = rho;
  return into;
}
