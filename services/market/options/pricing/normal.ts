/** 1 / √(2π). */
const INVERSE_SQRT_2PI = 0.3989422804014327;
const SQRT_HALF_PI = 1.2533141373155003;
const INVERSE_SQRT_PI = 0.5641895835477563;

/** The standard normal density. */
export function normalDensity(x: number): number {
  return INVERSE_SQRT_2PI * Math.exp(-0.5 * x * x);
}

/**
 * The standard normal distribution function at `x`, given the density there: option formulas need both, and so an evaluation costs one exponential. The lower tail
 * keeps its relative precision: 2e-15 to x = -6, 6e-14 at -37, where the density itself begins to underflow.
 *
 * Source: W. J. Cody, Rational Chebyshev Approximations for the Error Function, Mathematics of Computation 23 (1969), pp. 631-637, with the coefficients of the
 * paper's CALERF; erf near 0, elsewhere exp(z²) erfc(z), of z = |x| / √2.
 */
export function normalCdf(x: number, density: number): number {
  const z = Math.abs(x) * Math.SQRT1_2;
  if (z <= 0.46875) return 0.5 + 0.5 * erf(x * Math.SQRT1_2);
  const tail = density * SQRT_HALF_PI * (z <= 4 ? scaledErfcMiddle(z) : scaledErfcFar(z));
  return x < 0 ? tail : 1 - tail;
}

/** erf(z), |z| ≤ 0.46875. */
function erf(z: number): number {
  const t = z * z;
  const top = (((0.18577770618460315 * t + 3.1611237438705655) * t + 113.86415415105016) * t + 377.485237685302) * t;
  const bottom = (((t + 23.601290952344122) * t + 244.02463793444417) * t + 1282.6165260773723) * t;
  return (z * (top + 3209.3775891384694)) / (bottom + 2844.236833439171);
}

/** exp(z²) erfc(z), 0.46875 ≤ z ≤ 4. */
function scaledErfcMiddle(z: number): number {
  const top =
    (((((((2.1531153547440383e-8 * z + 0.5641884969886701) * z + 8.883149794388377) * z + 66.11919063714163) * z + 298.6351381974001) * z +
      881.952221241769) *
      z +
      1712.0476126340707) *
      z +
      2051.0783778260716) *
      z +
    1230.3393547979972;
  const bottom =
    (((((((z + 15.744926110709835) * z + 117.6939508913125) * z + 537.1811018620099) * z + 1621.3895745666903) * z + 3290.7992357334597) *
      z +
      4362.619090143247) *
      z +
      3439.3676741437216) *
      z +
    1230.3393548037495;
  return top / bottom;
}

/** exp(z²) erfc(z), z ≥ 4. */
function scaledErfcFar(z: number): number {
  const t = 1 / (z * z);
  const top =
    ((((0.016315387137302097 * t + 0.30532663496123236) * t + 0.36034489994980445) * t + 0.12578172611122926) * t + 0.016083785148742275) *
      t +
    0.0006587491615298378;
  const bottom =
    ((((t + 2.568520192289822) * t + 1.8729528499234604) * t + 0.5279051029514285) * t + 0.06051834131244132) * t + 0.0023352049762686918;
  return (INVERSE_SQRT_PI - (t * top) / bottom) / z;
}
