#ifndef TW_TMP_MATH
#define TW_TMP_MATH
namespace tw {
TW_FN Real cheap_log2(const Real& x){
#if TW_BITS==64
  const int M=52; const integer BIAS=1023, MASK=0xfffffffffffffLL, ONE=0x3ff0000000000000LL;
#else
  const int M=23; const integer BIAS=127, MASK=0x7fffff, ONE=0x3f800000;
#endif
  Int b=bits(x); Real e=to_real(shr(b,M)-Int(BIAS)); Real m=from_bits((b&Int(MASK))|Int(ONE));
  Mask big=m>Real(real(1.4142135623730951)); m=select(big,m*Real(real(0.5)),m); e=select(big,e+Real(real(1)),e);
  Real f=m-Real(real(1)); Real s=f/(f+Real(real(2))); Real z=s*s;
  Real q=fma(z,Real(real(2.8853900817779268/9)),Real(real(2.8853900817779268/7)));
  q=fma(z,q,Real(real(2.8853900817779268/5)));q=fma(z,q,Real(real(2.8853900817779268/3)));q=fma(z,q,Real(real(2.8853900817779268)));
  return fma(s,q,e);
}
TW_FN Real cheap_exp2(const Real& x){
#if TW_BITS==64
  const int M=52; const integer BIAS=1023;
#else
  const int M=23; const integer BIAS=127;
#endif
  Real k=round_even(x); Real r=(x-k)*Real(real(0.6931471805599453));
  Real p=fma(r,Real(real(1.0/5040)),Real(real(1.0/720)));p=fma(r,p,Real(real(1.0/120)));p=fma(r,p,Real(real(1.0/24)));p=fma(r,p,Real(real(1.0/6)));p=fma(r,p,Real(real(0.5)));p=fma(r,p,Real(real(1)));p=fma(r,p,Real(real(1)));
  return p*from_bits(shl(to_int(k)+Int(BIAS),M));
}
TW_FN Real step_pow(const Real& x, real e){ 
  const Real lim=Real(real(TW_BITS==64?1000:120));
  return cheap_exp2(max(-lim,min(lim,cheap_log2(x)*Real(e))));}
}
#endif
