/*
 * Demangling: C++, Rust of both kinds, names that are none, and names made to expand without end.
 */
#include "symbols/demangle.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(demangle, names)
{
	static const struct {
		const char *mangled;
		const char *name;
	} cases[] = {
	        {"_ZN4shop4till5countERKSt6vectorIiSaIiEE",
	         "shop::till::count(std::vector<int, std::allocator<int> > const&)"},
	        {"_ZNK12_GLOBAL__N_15Local3getEv", "(anonymous namespace)::Local::get() const"},
	        {"_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place"},
	        {"_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$"
	         "3bar17h930b740aa94f1d3aE",
	         "<Test + 'static as foo::Bar<Test>>::bar"},
	        {"_RNvCs1234_7mycrate4main", "mycrate::main"},
	        {"_RINvNtC3std3mem8align_ofjE", "std::mem::align_of::<usize>"},
	        {"main", "main"},
	        {"_start", "_start"},
	        {"_Z", "_Z"},
	        {"__libc_start_main", "__libc_start_main"},
	        {"", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *name = demangle_or_copy(cases[i].mangled);

		cr_assert_str_eq(name, cases[i].name);
		free(name);
	}
}

/* Each parameter is a pair of two of the one before: 2^35 pairs from 400 bytes. */
Test(demangle, within_bounds, .timeout = 60)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char mangled[1024] = "_Z1fSt4pairIiiE";
	size_t length = strlen(mangled);
	char *name = NULL;
	char plain[2 * DEMANGLE_NAME_MAX + 1];

	for (size_t i = 0; i < 35; i++)
		length += (size_t)snprintf(mangled + length, sizeof(mangled) - length, "S_IS%c_S%c_E",
		                           digits[i], digits[i]);
	name = demangle_or_copy(mangled);
	cr_assert_not_null(name);
	cr_assert_eq(strlen(name), DEMANGLE_NAME_MAX);
	free(name);
	memset(plain, 'x', sizeof(plain) - 1);
	plain[sizeof(plain) - 1] = '\0';
	name = demangle_or_copy(plain);
	cr_assert_eq(strlen(name), DEMANGLE_NAME_MAX);
	free(name);
}
