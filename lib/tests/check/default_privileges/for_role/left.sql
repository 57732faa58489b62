alter default privileges for role pum_a grant execute on functions to pum_b;
