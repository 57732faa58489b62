create cast (c as text) with function h(c);
