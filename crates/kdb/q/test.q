/ Tests of ffi.q for those who have q. In this folder: q test.q
/ Prints how many passed, and exits with 1 if any failed.
/ Generated from the table of the Rust tests: JITCALL_BLESS=1 cargo test -p jitcall-kdb --test script

\l ffi.q

passed:0
failed:0
check:{[name;expected;got]
  $[expected~got;
    passed::passed+1;
    [failed::failed+1; -1 name,": ",(-3!got)," instead of ",-3!expected]]; }

/ the class of an error
class:{`$first ":" vs x}

/ the values of the table under a letter: those taken give the results, others are refused, some are left out
one:{[f;letters;taken;results;i]
  args:$[1=count letters;(values i;::);(values i;values i;0;::)];
  expected:$[i in taken;results taken?i;`type];
  check[letters," ",-3!values i;expected;@[f;args;class]]; }
under:{[name;letters;result;taken;results;out]
  one[.ffi.bind[name;letters;result];letters;taken;results] each til[count values] except out; }

values:(0b;1b;0x00;0xff;"a";" ";1h;-1h;0Wh;-0Wh;0Nh;-1i;255i;256i;-32768i;32768i;16777216i;16777217i;0Wi;-0Wi;0Ni;3;-3;2147483648;-2147483648;9007199254740992;9007199254740993;0W;-0W;0N;1.5e;-2e;0We;0Ne;3f;-1f;3.5;0.1;1e300;3e38;2 xexp 63;neg 2 xexp 63;0w;-0w;0n;2000.01.01D00:00:00.000000005;0Np;1999.12m;0Nm;2000.01.08;0Nd;2000.01.01T12:00:00.000;0Nz;0D00:00:00.000000009;0Nn;00:01;00:00:02;00:00:00.003;0Nt;0x0 sv 0x000102030405060708090a0b0c0d0eff;`symbol;`;101b;0x0102;0x010200;"text";"text\000";"";1 2h;1 2i;`int$();1 2;1 2e;1 2f;2#0Np;2#0Nm;2#0Nd;2#0Nz;2#0Nn;2#0Nu;2#0Nv;2#0Nt;2#0Ng;`a`b;();(1i;2f);(0;1;2;3;`x);({x};enlist"i";"i");`a`b!1 2;([]a:1 2);{x};neg;(::))

under[`toupper;"b";"x";0 1 2 3 4 5 6 12 21 34 45 49 53 55 56 57;(0x00;0x01;0x00;0xff;0x41;0x20;0x01;0xff;0x03;0x03;0x05;0x07;0x09;0x01;0x02;0x03);()]
under[`toupper;"c";"x";0 1 2 3 4 5 6 12 21 34 45 49 53 55 56 57;(0x00;0x01;0x00;0xff;0x41;0x20;0x01;0xff;0x03;0x03;0x05;0x07;0x09;0x01;0x02;0x03);()]
under[`toupper;"x";"x";0 1 2 3 4 5 6 12 21 34 45 49 53 55 56 57;(0x00;0x01;0x00;0xff;0x41;0x20;0x01;0xff;0x03;0x03;0x05;0x07;0x09;0x01;0x02;0x03);()]
under[`ntohs;"h";"h";0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 21 22 31 34 35 45 47 49 53 55 56 57;(0h;256h;0h;-256h;24832h;8192h;256h;-1h;-129h;384h;128h;-1h;-256h;1h;128h;768h;-513h;-257h;768h;-1h;1280h;-1h;1792h;2304h;256h;512h;768h);()]
under[`abs;"i";"i";0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18 19 20 21 22 24 31 34 35 45 47 48 49 50 53 55 56 57 58;(0i;1i;0i;255i;97i;32i;1i;1i;32767i;32767i;1i;255i;256i;32768i;32768i;16777216i;16777217i;0Wi;0Wi;0Ni;3i;3i;0Ni;2i;3i;1i;5i;1i;0Ni;7i;0Ni;9i;1i;2i;3i;0Ni);()]
under[`abs;"m";"i";0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18 19 20 21 22 24 31 34 35 45 47 48 49 50 53 55 56 57 58;(0i;1i;0i;255i;97i;32i;1i;1i;32767i;32767i;1i;255i;256i;32768i;32768i;16777216i;16777217i;0Wi;0Wi;0Ni;3i;3i;0Ni;2i;3i;1i;5i;1i;0Ni;7i;0Ni;9i;1i;2i;3i;0Ni);()]
under[`abs;"d";"i";0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18 19 20 21 22 24 31 34 35 45 47 48 49 50 53 55 56 57 58;(0i;1i;0i;255i;97i;32i;1i;1i;32767i;32767i;1i;255i;256i;32768i;32768i;16777216i;16777217i;0Wi;0Wi;0Ni;3i;3i;0Ni;2i;3i;1i;5i;1i;0Ni;7i;0Ni;9i;1i;2i;3i;0Ni);()]
under[`abs;"u";"i";0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18 19 20 21 22 24 31 34 35 45 47 48 49 50 53 55 56 57 58;(0i;1i;0i;255i;97i;32i;1i;1i;32767i;32767i;1i;255i;256i;32768i;32768i;16777216i;16777217i;0Wi;0Wi;0Ni;3i;3i;0Ni;2i;3i;1i;5i;1i;0Ni;7i;0Ni;9i;1i;2i;3i;0Ni);()]
under[`abs;"v";"i";0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18 19 20 21 22 24 31 34 35 45 47 48 49 50 53 55 56 57 58;(0i;1i;0i;255i;97i;32i;1i;1i;32767i;32767i;1i;255i;256i;32768i;32768i;16777216i;16777217i;0Wi;0Wi;0Ni;3i;3i;0Ni;2i;3i;1i;5i;1i;0Ni;7i;0Ni;9i;1i;2i;3i;0Ni);()]
under[`abs;"t";"i";0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18 19 20 21 22 24 31 34 35 45 47 48 49 50 53 55 56 57 58;(0i;1i;0i;255i;97i;32i;1i;1i;32767i;32767i;1i;255i;256i;32768i;32768i;16777216i;16777217i;0Wi;0Wi;0Ni;3i;3i;0Ni;2i;3i;1i;5i;1i;0Ni;7i;0Ni;9i;1i;2i;3i;0Ni);()]
under[`labs;"j";"j";0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18 19 21 22 23 24 25 26 27 28 29 31 34 35 41 45 46 47 49 53 54 55 56 57;(0;1;0;255;97;32;1;1;32767;32767;1;255;256;32768;32768;16777216;16777217;2147483647;2147483647;3;3;2147483648;2147483648;9007199254740992;9007199254740993;0W;0W;0N;2;3;1;0N;5;0N;1;7;9;0N;1;2;3);62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 92]
under[`labs;"p";"j";0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18 19 21 22 23 24 25 26 27 28 29 31 34 35 41 45 46 47 49 53 54 55 56 57;(0;1;0;255;97;32;1;1;32767;32767;1;255;256;32768;32768;16777216;16777217;2147483647;2147483647;3;3;2147483648;2147483648;9007199254740992;9007199254740993;0W;0W;0N;2;3;1;0N;5;0N;1;7;9;0N;1;2;3);62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 92]
under[`labs;"n";"j";0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18 19 21 22 23 24 25 26 27 28 29 31 34 35 41 45 46 47 49 53 54 55 56 57;(0;1;0;255;97;32;1;1;32767;32767;1;255;256;32768;32768;16777216;16777217;2147483647;2147483647;3;3;2147483648;2147483648;9007199254740992;9007199254740993;0W;0W;0N;2;3;1;0N;5;0N;1;7;9;0N;1;2;3);62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 92]
under[`fabsf;"e";"e";0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 21 22 30 31 32 33 34 35 36 37 39 40 41 42 43 45 47 49 51 53 55 56 57;(0e;1e;0e;255e;97e;32e;1e;1e;32767e;32767e;1e;255e;256e;32768e;32768e;16777216e;3e;3e;1.5e;2e;0We;0Ne;3e;1e;3.5e;0.1e;300000000000000000000000000000000000000e;9223372000000000000e;9223372000000000000e;0We;0We;5e;1e;7e;0.5e;9e;1e;2e;3e);()]
under[`fabs;"f";"f";0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18 19 21 22 23 24 25 30 31 32 34 35 36 37 38 39 40 41 42 43 44 45 47 49 51 52 53 55 56 57;(0f;1f;0f;255f;97f;32f;1f;1f;32767f;32767f;1f;255f;256f;32768f;32768f;16777216f;16777217f;2147483647f;2147483647f;3f;3f;2147483648f;2147483648f;9007199254740992f;1.5;2f;0w;3f;1f;3.5;0.1;1e300;3e38;9.223372036854776e18;9.223372036854776e18;0w;0w;0n;5f;1f;7f;0.5;0n;9f;1f;2f;3f);()]
under[`fabs;"z";"f";0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18 19 21 22 23 24 25 30 31 32 34 35 36 37 38 39 40 41 42 43 44 45 47 49 51 52 53 55 56 57;(0f;1f;0f;255f;97f;32f;1f;1f;32767f;32767f;1f;255f;256f;32768f;32768f;16777216f;16777217f;2147483647f;2147483647f;3f;3f;2147483648f;2147483648f;9007199254740992f;1.5;2f;0w;3f;1f;3.5;0.1;1e300;3e38;9.223372036854776e18;9.223372036854776e18;0w;0w;0n;5f;1f;7f;0.5;0n;9f;1f;2f;3f);()]
under[`labs;"l";"j";0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18 19 21 22 23 24 25 26 27 28 29 31 34 35 41 45 46 47 49 53 54 55 56 57;(0;1;0;255;97;32;1;1;32767;32767;1;255;256;32768;32768;16777216;16777217;2147483647;2147483647;3;3;2147483648;2147483648;9007199254740992;9007199254740993;0W;0W;0N;2;3;1;0N;5;0N;1;7;9;0N;1;2;3);62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 92]
under[`memcmp;"rrl";"i";6 7 8 9 11 12 13 14 15 16 17 18 19 21 22 23 24 25 26 27 28 29 31 34 35 41 45 46 47 49 53 54 55 56 57 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 92;(0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i;0i);()]
under[`memcmp;"ggl";"i";59 82 92;(0i;0i;0i);()]
under[`strlen;"s";"j";60 61 62 63 64 65 66 67;(6;0;1;2;2;4;4;0);enlist 92]
under[`memcmp;"kkl";"i";21 22 23 24 25 26 27 28 29 92;(0i;0i;0i;0i;0i;0i;0i;0i;0i;0i);enlist 87]
under[`memcmp;"BBl";"i";62 63 64 65 66 67 92;(0i;0i;0i;0i;0i;0i;0i);()]
under[`strlen;"C";"j";60 61 62 63 64 65 66 67;(6;0;1;2;2;4;4;0);enlist 92]
under[`memcmp;"XXl";"i";62 63 64 65 66 67 92;(0i;0i;0i;0i;0i;0i;0i);()]
under[`memcmp;"HHl";"i";68 92;(0i;0i);()]
under[`memcmp;"IIl";"i";69 70 75 76 79 80 81 92;(0i;0i;0i;0i;0i;0i;0i;0i);()]
under[`memcmp;"MMl";"i";69 70 75 76 79 80 81 92;(0i;0i;0i;0i;0i;0i;0i;0i);()]
under[`memcmp;"DDl";"i";69 70 75 76 79 80 81 92;(0i;0i;0i;0i;0i;0i;0i;0i);()]
under[`memcmp;"UUl";"i";69 70 75 76 79 80 81 92;(0i;0i;0i;0i;0i;0i;0i;0i);()]
under[`memcmp;"VVl";"i";69 70 75 76 79 80 81 92;(0i;0i;0i;0i;0i;0i;0i;0i);()]
under[`memcmp;"TTl";"i";69 70 75 76 79 80 81 92;(0i;0i;0i;0i;0i;0i;0i;0i);()]
under[`memcmp;"JJl";"i";71 74 78 92;(0i;0i;0i;0i);()]
under[`memcmp;"PPl";"i";71 74 78 92;(0i;0i;0i;0i);()]
under[`memcmp;"NNl";"i";71 74 78 92;(0i;0i;0i;0i);()]
under[`memcmp;"EEl";"i";72 92;(0i;0i);()]
under[`memcmp;"FFl";"i";73 77 92;(0i;0i;0i);()]
under[`memcmp;"ZZl";"i";73 77 92;(0i;0i;0i);()]
under[`memcmp;"LLl";"i";71 74 78 92;(0i;0i;0i;0i);()]
under[`memcmp;"RRl";"i";71 74 78 92;(0i;0i;0i;0i);()]
under[`memcmp;"GGl";"i";82 92;(0i;0i);()]
under[`memcmp;"SSl";"i";83 92;(0i;0i);()]
under[`memcmp;"KKl";"i";84 85 86 87 92;(0i;0i;0i;0i;0i);()]

/ lists of arguments
pow:.ffi.bind[`pow;"ff";"f"]
check["general";1024f;pow (2f;10f;::)]
check["general by itself";1024f;pow (2f;10)]
check["collapsed";`rank;@[pow;(2f;10f);class]]
check["too few";`rank;@[pow;(2f;::);class]]
check["one argument";3i;.ffi.bind[`abs;"i";"i"] -3i]
check["library and name";3i;.ffi.bind[`libc.so.6`abs;"i";"i"] -3i]
check["no such function";`os;.[.ffi.bind;(`nosuchfunction;"i";"i");class]]
check["no such letter";`type;.[.ffi.bind;(`abs;"?";"i");class]]
pid:.ffi.bind[`getpid;"";"i"]
check["no arguments";3#.z.i;(pid enlist(::);pid(::;::);pid(::))]

/ types as the values have them
check["inferred int";3i;.ffi.callFunction[`abs;(-3i;::)]]
check["inferred float";8f;.ffi.callFunction[("f";`pow);(2f;3f;::)]]
check["inferred text";4;.ffi.callFunction[("j";`strlen);("four";::)]]

/ functions of their own rank
power:.ffi.fn[`pow;"ff";"f"]
check["own rank";1024f;power[2;10]]
check["vectors";1 4 9f;power[1 2 3f;2]]
check["projection";8f;power[;3] 2f]
check["lengths";`length;.[power;(1 2f;1 2 3f);class]]

/ memory
to:4#0x00
.ffi.bind[`memcpy;"XXl";"r"](to;0x01020304;4;::)
check["memcpy";0x01020304;to]
room:20#"?"
room[19]:"\000"
check["snprintf";13i;.ffi.bind[`snprintf;"Clsifs";"i"](room;20;`$"%d %g %s";7i;2.5;`sevens;::)]
check["formatted";"7 2.5 sevens";12#room]
check["guid";0i;.ffi.bind[`memcmp;"gXl";"i"](0x0 sv 0x000102030405060708090a0b0c0d0e0f;`byte$til 16;16;::)]

/ callbacks
qsort:.ffi.bind[`qsort;"Jllk";" "]
v:5 3 9 1
qsort (v;4;8;({signum x-y};"JJ";"i");::)
check["qsort";1 3 5 9;v]
w:2 1
check["failing callback";`oops;@[qsort;(w;2;8;({'`oops};"JJ";"i");::);class]]
check["no callback";`type;@[qsort;(w;2;8;(1;2);::);class]]

/ errno
check["open";-1i;.ffi.bind[`open;"Ci";"i"]("/no/such/file";0i;::)]
check["errno";2i;.ffi.setErrno 0i]
check["errno again";0i;.ffi.setErrno[]]

-1 string[passed]," passed, ",string[failed]," failed";
exit $[failed;1;0]
