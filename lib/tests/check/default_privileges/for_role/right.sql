alter default privileges for role pum_b grant execute on functions to pum_a;
