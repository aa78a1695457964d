-- Reasons of files quoted rejected records and rows of errors, of personal columns too. What they quoted is taken out;
-- the records stay in ops.rejected_row.
UPDATE ops.landed_file SET reason = regexp_replace(
    reason, '(are rejected, more than [0-9.]+%; nothing was published\.) E\.g\. .*\. Fix the file and land it again\.$',
    '\1 Fix the file and land it again.'
) WHERE reason ~ 'are rejected, more than [0-9.]+%; nothing was published\. E\.g\. ';

UPDATE ops.landed_file SET reason = regexp_replace(reason, '(records are rejected), e\.g\. .*$', '\1.')
WHERE reason ~ '^more than [0-9,]+ records are rejected, e\.g\. ';

UPDATE ops.landed_file SET reason = regexp_replace(
    reason, '^.*; the file has .*; expected ', 'the file has not the columns that are expected: '
) WHERE reason ~ '^column `.*; the file has .*; expected ';

UPDATE ops.landed_file SET reason = regexp_replace(
    reason, '^(table `\w+` (?:is missing|occurs twice)); the file has .*\. Fix the file and land it again\.$',
    '\1. Fix the file and land it again.'
) WHERE reason ~ '^table `\w+` (is missing|occurs twice); the file has ';

UPDATE ops.landed_file SET reason = 'this is neither SQLite nor readable JSON (an object has a name twice). Land it again.'
WHERE reason ~ '^this is neither SQLite nor readable JSON \(an object has `';

-- Errors of libraries begin with their name. What they quote stands in quotes, in brackets or on a line of its own.
UPDATE ops.landed_file SET reason = regexp_replace(reason, '^([A-Z]\w+: [^"''`\[({\n]*).*$', '\1…')
WHERE reason ~ '^[A-Z]\w+: [^"''`\[({\n]*["''`\[({\n]';

UPDATE ops.landed_file SET reason = left(reason, 1999) || '…' WHERE length(reason) > 2000;
