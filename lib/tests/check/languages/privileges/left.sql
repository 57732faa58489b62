revoke usage on language l from public;
